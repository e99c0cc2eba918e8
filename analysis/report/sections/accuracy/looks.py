"""Seeds decided by looks: what each batch and rule was found to be, and how many seeds it took."""

from __future__ import annotations

from collections.abc import Iterator

from ....decision.looks.judged import Looks
from ....formatting import table
from ....tables.outcome import Outcome
from ...blocks import Section
from ...builder import section
from ...findings import Findings

TEXT = ("The plan fixes no number of seeds: the study was judged again as they came in, and each batch and rule ended "
        "where it was decided. Several looks have several chances to err, so each has a level of its own, by which "
        "the error spent grows as the seeds do; with that the answers err as seldom as one look at all seeds "
        "would, and the intervals of what a batch loses are repeated ones, which hold at whichever look the study "
        "ended. They reach further up than down: to show that a batch is not worse, more of the level is left to late "
        "looks than to show that it is. Means of single batches have their usual intervals.")
CAPTION = ("What a batch loses on the data that choose against the reference batch, paired by seed, repeated 95 % "
           "interval, n; and what was decided by so many seeds. Not told apart: the most seeds would hardly show it.")


@section("looks", "Seeds, and what they decided")
def build(findings: Findings) -> Section | None:
    """Return a row for each batch and rule whose seeds were decided by looks; None where the plan fixes them."""
    looks = findings.decided.looks
    rows = [row for one in looks if one.experiment in findings.study.outcomes
            for row in _rows(one, findings.study.outcomes[one.experiment])]
    if not rows:
        return None
    return Section((TEXT, *findings.decided.topics["looks"]), (), table(
        ("experiment", "rule", "batch", "loses", "decided", "seeds", "of at most"), rows, CAPTION, (2, 5, 6), "Looks"))


def _rows(one: Looks, outcome: Outcome) -> Iterator[tuple[str, ...]]:
    for each in one.judged:
        yield (one.experiment, each.rule, f"{each.global_batch:,}", outcome.cell_difference(each.loss), each.answer,
               str(each.seeds), str(one.counts[-1]))
