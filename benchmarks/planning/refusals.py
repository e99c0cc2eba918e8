"""What a plan asks for and nothing would answer to: refused, with the fix, before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import PlanError

# Nobody calls accuracies 20 points apart the same, or losses of which one is half as large again; whoever writes such a
# number means per cent.
LARGEST_MARGINS = {"margin": (0.2, "points of accuracy"), "loss_margin": (0.5, "% of the reference batch's loss")}


def check_margins(settings: Mapping[str, Any], where: str) -> None:
    """Check that both margins are fractions and more than nothing. Raises PlanError."""
    for name, (largest, unit) in LARGEST_MARGINS.items():
        value = settings[name]
        if value > largest:
            raise PlanError(f"{where}: {name} = {value:g} is a fraction, so {100 * value:g} {unit} would count as the "
                            f"same; the most is {largest:g}. If {value:g} {unit} are meant, write {name} = "
                            f"{value / 100:g}.")
        if not value > 0:
            raise PlanError(f"{where}: {name} = {value:g} lets nothing count as the same, so no batch could be shown "
                            f"to cost nothing; give a fraction above 0, such as {0.005 if name == 'margin' else 0.02}.")
