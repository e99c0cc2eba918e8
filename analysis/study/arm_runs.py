"""Which runs belong to an arm: the one place that says so.

An arm is one experiment in one placement under one rule, with one run for each batch and seed. At the reference batch
the rules set the same rate, so the runs of the constant rule stand there for every rule, but for those that have a
reference of their own (tuned rates, weights carried from batch to batch).
"""

from __future__ import annotations

import pandas as pd

from ...benchmarks.config.choices import GROUPS
from ...benchmarks.schedules.rules import has_own_reference, SHARED_RULE
from ..tables.results import Results


def is_shared(rule: str, batch: int, reference_batch: int) -> bool:
    """Return whether the runs at this batch stand for every rule that has no reference of its own, this one too."""
    return batch == reference_batch and not has_own_reference(rule)


def is_listed_elsewhere(rule: str, batch: int, reference_batch: int) -> bool:
    """Return whether these runs are the constant rule's, so that a list of all runs has them there already."""
    return rule != SHARED_RULE and is_shared(rule, batch, reference_batch)


def main_placement(runs: pd.DataFrame) -> str:
    """Return the strategy and replicas with the most batches among an experiment's runs, "" without runs.

    A batch made of more replicas is another treatment and never joins an arm silently.
    """
    places = runs["placement"].unique()
    if len(places) < 2:  # the most are trained in one place alone
        return str(places[0]) if len(places) else ""
    return str(runs.groupby("placement", sort=False)["global_batch"].nunique().idxmax())


def arm_runs(runs: pd.DataFrame, rule: str) -> pd.DataFrame:
    """Return the rows of one experiment in one placement that belong to the rule's arm, one per batch and seed.

    Of two rows for the same batch and seed the rule's own is taken, and of several such the first. The column `rule`
    of the result is the arm's.
    """
    own = runs["rule"] == rule
    if not has_own_reference(rule):
        own |= (runs["rule"] == SHARED_RULE) & (runs["global_batch"] == runs["reference_batch"])
    chosen = runs[own]
    own_first = chosen.iloc[(chosen["rule"] != rule).to_numpy().argsort(kind="stable")]
    once = own_first.drop_duplicates(["global_batch", "seed"]).index
    return chosen[chosen.index.isin(once)].assign(rule=rule)


def experiment_arm(results: Results, experiment: str, rule: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the runs of an experiment's arm in its main placement, and their evaluations; empty without runs."""
    runs, evaluations = results.accuracy.get(experiment, (results.runs[:0], results.evaluations[:0]))
    chosen = arm_runs(runs[runs["placement"] == main_placement(runs)], rule)
    return chosen, evaluations[evaluations["run_id"].isin(chosen["run_id"])]


def conditions(runs: pd.DataFrame) -> str:
    """Return what `batchscale run --only` needs to select these runs from their plan: what they have in common.

    At the reference batch that is the rule whose runs stand for all. A name that conditions cannot hold gives "".
    """
    if runs.empty:
        return ""
    names = ["experiment", "rule", "global_batch"]
    if set(runs["kind"]) != {"accuracy"}:
        names = ["experiment", "strategy", "transport", "global_batch"]
    names += ["exchange"] if (runs["exchange"] == GROUPS).all() else []  # of the others a plan may have no choice
    names += ["replicas"] if (runs["replicas"] > 1).any() or "rule" not in names else []
    first = runs.iloc[0]
    found = {name: first[name] for name in names if runs[name].nunique() == 1 and first[name] != ""}
    if "rule" in found and "global_batch" in found and is_shared(str(first["rule"]), int(first["global_batch"]),
                                                                 int(first["reference_batch"])):
        found["rule"] = SHARED_RULE
    texts = {name: str(value) if isinstance(value, str) else str(int(value)) for name, value in found.items()}
    return "" if any("," in text for text in texts.values()) else ",".join(f"{n}={text}" for n, text in texts.items())


def arm_conditions(experiment: str, rule: str, batch: int, reference_batch: int) -> str:
    """Return the same for the runs of an arm at one batch."""
    own = SHARED_RULE if is_shared(rule, batch, reference_batch) else rule
    return "" if "," in experiment + own else f"experiment={experiment},rule={own},global_batch={batch}"


def reference_norms(results: Results, experiment: str, placement: str = "") -> pd.DataFrame:
    """Return the gradient norms of an experiment's completed runs at the reference batch, in its main placement unless
    another one is named.

    A run that diverged or ran out of memory probed weights that no comparison is made with, so it has no part.
    """
    place = placement or main_placement(results.accuracy.get(experiment, (results.runs[:0],))[0])
    rows = results.norms.get(experiment, results.gradient_norms[:0])
    return rows[(rows["placement"] == place) & (rows["status"] == "completed")
                & (rows["global_batch"] == rows["reference_batch"])]
