"""Where to train: times taken alone on the machine and times taken beside other runs are never set against each other.

What a further replica brings is told by times of one kind. Which placement of as few replicas as the training had is
the faster is not: a strategy of many replicas with one replica was perhaps timed alone only because it is the baseline
of those many.
"""

from __future__ import annotations

from collections.abc import Sequence

from .options import ALONE, Option


def at_home(chosen: Option, home: Sequence[Option]) -> Option:
    """Return the option as it was trained, where that has as many replicas as the one chosen; else the one chosen."""
    same = (one for one in home if (one.global_batch, one.rule, one.replicas)
            == (chosen.global_batch, chosen.rule, chosen.replicas))
    return next(same, chosen)


def timed_alike(options: Sequence[Option]) -> Sequence[Option]:
    """Return those that were timed alone on the machine, or all where none was."""
    return [one for one in options if one.timed == ALONE] or options
