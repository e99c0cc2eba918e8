"""What was not measured, as a plan that measures it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...benchmarks.config.objectives import CROSS_ENTROPY
from ...benchmarks.errors import PlanError
from ...benchmarks.planning import keys as plan_keys
from ...benchmarks.planning.derived_keys import AUTO
from ...benchmarks.schedules.rules import RULES, TUNED_RULE
from ...benchmarks.text import counted
from ..laws.memory import DISTINCT_SIZES
from ..statistics.decision_rules import FEWEST_SEEDS
from ..statistics.sample_size import seeds_until_not_worse
from ..study.arms import Arm
from ..study.batch_gaps import chosen_metric, gap_at_end
from ..study.non_inferiority import against_own_reference
from ..study.timing.steadiness import unsteady_points, UnsteadyPoint
from ..tables.results import planned, Results
from ..tables.selections import timing_runs
from ..tables.tuned_rates import HIGHEST, LOWEST

COMMENT_WIDTH = 110
SEEDS = 6
MOST_SEEDS = 20
GLYPHS = 48_000
# What changes a result and is the same in all runs of an experiment.
RECIPE = ("momentum", "weight_decay", "warmup_epochs", "legw_epochs", "noise_scale", "rate_exponent", "decay",
          "decay_epochs", "decay_factor", "decay_power", "clip_norm", "accumulation", "strategies", "replicas",
          "exchange", "precision", "tf32", "deterministic", "jit")
JUDGED_BY = ("margin", "loss_margin", "first_seed", "price_per_device_hour")
WIDER = 10.0  # times the end of the search that the best rate touches


@dataclass(frozen=True)
class Gap:
    """One thing that is not known, in words, and the experiment that would measure it (TOML keys). `again`: it asks the
    same of the same seeds and more."""

    what: str
    experiment: Mapping[str, Any]
    again: bool = False


def missing(results: Results, by_experiment: Mapping[str, Sequence[Arm]]) -> list[Gap]:
    """Return what is not known, with the experiments that would measure it, in order of what a decision needs most."""
    found = [gap for name, arms in by_experiment.items()
             for gap in (*_accuracy(arms, results), *_search(arms, results))]
    basis = _basis(by_experiment, results)
    if not by_experiment:
        found.append(Gap("no accuracy runs: nothing is known about the batch and accuracy",
                         {"name": "accuracy", **basis, "global_batches": [32, 128, 512],
                          "rules": ["constant", "linear", "sqrt"], "seeds": SEEDS}))
    return [*found, *_timing(results, basis), *_launches(results), *_memory(results, basis)]


def plan_text(gaps: Sequence[Gap], results: Results) -> str:
    """Return a plan file; "" when nothing is missing. What imported runs lack is named in a comment to be filled in.

    It keeps what the last plan's results are judged by, and where seeds are added it counts the look that asked for
    them, since going on until a result is decided errs more often.
    """
    if not gaps:
        return ""
    default = plan_keys.settings({"name": "next"}, "plan")
    kept = {name: value for name in JUDGED_BY
            if (value := results.settings.get(name, default.get(name))) != default.get(name)}
    if any(gap.again for gap in gaps):
        kept["earlier_looks"] = results.earlier_looks + 1
    lines = ["# What the last study left open, and the runs that would tell.", "",
             "[plan]", 'name = "next"', 'question = "What did the last study leave open?"',
             *(f"{name} = {json.dumps(value)}" for name, value in kept.items())]
    for gap in gaps:
        unknown = [name for name, value in gap.experiment.items() if value == "" or value != value]
        lines += ["", f"# {gap.what[:COMMENT_WIDTH * 3]}",
                  *([f"# To be filled in, the runs do not have it: {', '.join(unknown)}."] if unknown else []),
                  "[[experiment]]", *(f"{name} = {json.dumps(value)}" for name, value in gap.experiment.items()
                                      if name not in unknown)]
    return "\n".join(lines) + "\n"


DECISIVE = ("seeds", "max_seeds", "global_batches", "search")


def plan_lines(gaps: Sequence[Gap], results: Results) -> dict[str, tuple[str, ...]]:
    """Return, for each experiment of the plan that leaves something open, the lines that differ from its own: more
    seeds, other batches, a wider search."""
    found: dict[str, tuple[str, ...]] = {}
    for gap in gaps:
        name = str(gap.experiment["name"]).removesuffix("_search")
        own = planned(results.plan, name)
        lines = tuple(f"{key} = {json.dumps(gap.experiment[key])}" for key in DECISIVE
                      if key in gap.experiment and own.get(key) != gap.experiment[key])
        found[name] = tuple(dict.fromkeys((*found.get(name, ()), *lines)))
    return found


def _accuracy(arms: Sequence[Arm], results: Results) -> list[Gap]:
    arm, found, margin = arms[0], [], arms[0].outcome.margin
    basis = {**_of(arm, results), **_tuning(arms, results), **_given(arm, results, *RECIPE)}
    seeds = int(arm.runs.loc[arm.runs["status"] == "completed", "seed"].nunique())
    batches = _with_reference(arm, {*arm.batches, *arm.apart})
    wanted = _seeds_wanted(arms, margin)
    if len(batches) < 2:
        batches = _with_reference(arm, {*batches, *_larger(arm, 4), *_larger(arm, 16)})
    rules = _fitting(_rules(arms, results), basis, max(batches, default=0))
    if len({*arm.batches, *arm.apart}) < 2:
        found.append(Gap(f"{arm.experiment}: one batch alone; its effect is not known",
                         {"name": arm.experiment, **basis, "global_batches": batches,
                          "rules": rules, "seeds": SEEDS}))
    elif arm.outcome.looks and min(wanted, MOST_SEEDS) > arm.outcome.looks[-1]:
        most = arm.outcome.looks[-1]
        found.append(Gap(f"{arm.experiment}: {counted(most, 'seed')} do not decide every batch",
                         {"name": arm.experiment, **basis, "global_batches": batches, "rules": rules,
                          "seeds": AUTO, "max_seeds": min(wanted, MOST_SEEDS)}, again=True))
    elif not arm.outcome.looks and (seeds < FEWEST_SEEDS or min(wanted, MOST_SEEDS) > seeds):
        who = f"{counted(seeds, 'seed')} {'does' if seeds == 1 else 'do'}"
        found.append(Gap(f"{arm.experiment}: {who} not decide every batch",
                         {"name": arm.experiment, **basis, "global_batches": batches,
                          "rules": rules, "seeds": min(max(SEEDS, wanted), MOST_SEEDS)}, again=True))
    else:
        found += _beyond(arms, basis, seeds, margin)
    return found


def _rules(arms: Sequence[Arm], results: Results) -> list[str]:
    """Those of the plan: at the reference batch alone they are all one run, which does not tell them."""
    return list(_given(arms[0], results, "rules").get("rules", ())) or [one.rule for one in arms]


def _with_reference(arm: Arm, batches: Iterable[int]) -> list[int]:
    """The batches, and that at which the rules' rates are given, which a plan must train; ascending."""
    return sorted({*batches, int(arm.first("reference_batch"))})


def _fitting(rules: Sequence[str], basis: Mapping[str, Any], largest: int) -> list[str]:
    """Without legw where its warm-up would be longer than the run at the largest batch."""
    warmup = float(basis.get("legw_epochs", 0)) * largest / basis["reference_batch"]
    stretched = [name for name, rule in RULES.items() if rule.needs == "legw_epochs"]
    return [rule for rule in rules if rule not in stretched or warmup <= basis["epochs"]]


def _seeds_wanted(arms: Sequence[Arm], margin: float) -> int:
    """The most seeds by which a batch could still be shown to be not worse; 0 without one. At the level of the next
    look, shared by all arms, of which a chain of tests never has less."""
    metric, wanted = chosen_metric(arms[0]), [0]
    alpha = arms[0].outcome.alpha / 2 / len(arms)
    for arm, kept in zip(arms, against_own_reference(arms, metric).values()):
        for batch in arm.larger:
            of = gap_at_end(arm, arm, batch, metric)
            more = seeds_until_not_worse(of, margin, alpha)
            if batch not in kept and more is not None:
                wanted.append(of.estimate.n + more)
    return max(wanted)


def _beyond(arms: Sequence[Arm], basis: Mapping[str, Any], seeds: int, margin: float) -> list[Gap]:
    """Larger batches, where the largest one is still not worse under some rule."""
    largest = arms[0].batches[-1] if arms[0].batches else 0
    for arm, fit in zip(arms, against_own_reference(arms, chosen_metric(arms[0])).values()):
        if fit and fit[-1] == largest and (more := _larger(arm, 2)):
            return [Gap(f"{arm.experiment}: batch {largest:,} is still not worse; the limit lies "
                        "beyond", {"name": arm.experiment, **basis,
                                   "rules": _fitting([one.rule for one in arms], basis, more[-1]),
                                   "global_batches": _with_reference(arm, {arm.reference_batch, largest, *more}),
                                   "seeds": seeds})]
    return []


def _larger(arm: Arm, factor: int) -> list[int]:
    # Of imported runs these may not be known; the plan then leaves them to its defaults, which are 1.
    parts = (arm.whole("replicas") or 1) * (arm.whole("accumulation") or 1)
    size = int(arm.first("train_examples")) // parts * parts
    largest = arm.batches[-1] if arm.batches else arm.reference_batch
    return [largest * factor] if largest * factor <= size else [] if largest >= size else [size]


def _of(arm: Arm, results: Results) -> dict[str, Any]:
    """What the runs share. A trial's rate is its own: the experiment's is in the plan, or else Keras'."""
    rate = _given(arm, results, "learning_rate") if arm.rule == TUNED_RULE else \
        {"learning_rate": arm.first("base_learning_rate")}
    return {"dataset": arm.text("dataset"), "model": arm.text("model"),
            **_objective(arm, results), "optimizer": arm.text("optimizer"), "epochs": int(arm.first("epochs")), **rate,
            "reference_batch": int(arm.first("reference_batch"))}


def _objective(arm: Arm, results: Results) -> dict[str, Any]:
    """Loss and metrics, where they are not the defaults."""
    own = {"loss": arm.text("loss")} if arm.text("loss") not in ("", CROSS_ENTROPY) else {}
    return {**own, **_given(arm, results, "metrics")}


def _tuning(arms: Sequence[Arm], results: Results) -> dict[str, Any]:
    """How the plan tunes, where it does."""
    tuned = TUNED_RULE in [arm.rule for arm in arms]
    return _given(arms[0], results, "trials", "search", "halve_after") if tuned else {}


def _given(arm: Arm, results: Results, *names: str) -> dict[str, Any]:
    """Keys of the experiment as the plan's text gives them, checked as a plan's; without those left to defaults."""
    found = planned(results.plan, arm.experiment)
    try:
        return plan_keys.defaults({name: found[name] for name in names if name in found}, "plan")
    except PlanError:
        return {}


def _search(arms: Sequence[Arm], results: Results) -> list[Gap]:
    """A wider search where the best rate is the lowest or the highest tried."""
    edges = [one for one in results.tuned if one.experiment == arms[0].experiment and one.edge and not one.partial]
    if not edges:
        return []
    tuning = _tuning(arms, results)
    given = tuning.get("search", ())
    low, high = given if len(given) == 2 and 0 < given[0] < given[1] else plan_keys.SEARCH
    wider = [low / WIDER if any(one.edge == LOWEST for one in edges) else low,
             high * WIDER if any(one.edge == HIGHEST for one in edges) else high]
    batches = sorted({one.global_batch for one in edges})
    keys = {"name": f"{arms[0].experiment[:50]}_search", **_of(arms[0], results), **tuning, "search": wider,
            "global_batches": _with_reference(arms[0], batches), "rules": [TUNED_RULE],
            "seeds": int(arms[0].runs["seed"].nunique())}
    return [Gap(f"{arms[0].experiment}: the best rate lies at the edge of those tried at batch "
                f"{', '.join(map(str, batches))}", keys)]


def _basis(by_experiment: Mapping[str, Sequence[Arm]], results: Results) -> dict[str, Any]:
    for arms in by_experiment.values():
        return {**{name: arms[0].text(name) for name in ("dataset", "model", "optimizer")},
                **_objective(arms[0], results)}
    return {"dataset": "glyphs", "model": "mlp_128", "optimizer": "sgd"}


def _examples(results: Results) -> int:
    """N, which no batch may exceed; what the bundled data have where no run tells."""
    known = results.runs["train_examples"].dropna()
    return int(known.iloc[0]) if len(known) else GLYPHS


def _timing(results: Results, basis: Mapping[str, Any]) -> list[Gap]:
    runs = timing_runs(results)
    counts = sorted(int(n) for n in runs["replicas"].unique())
    if len(counts) > 1:
        return []
    seen = f"only {counts[0]} replica was timed" if counts else "nothing was timed"
    size = _examples(results)
    common = {"kind": "throughput", **basis, "strategies": ["mirrored"], "replicas": [1, 2],
              "launches": 3}
    return [Gap(f"scaling: {seen}, so no number of replicas can be recommended",
                {"name": "weak_scaling", **common, "scaling": "weak",
                 "replica_batches": sorted({min(n, size // 2) for n in (32, 256, 2048)})}),
            Gap("strong scaling: " + seen,
                {"name": "strong_scaling", **common, "scaling": "strong",
                 "global_batches": [min(512, size // 2 * 2)]})]


def _launches(results: Results) -> list[Gap]:
    """More launches of the timing experiments whose launches disagree, as many as the spread asks for, at the batches
    where they do: all placements, as an efficiency is against a baseline of the same launch."""
    found: list[Gap] = []
    by_experiment: dict[str, list[UnsteadyPoint]] = {}
    for point in unsteady_points(timing_runs(results)):
        by_experiment.setdefault(point.experiment, []).append(point)
    for name, points in by_experiment.items():
        own = dict(planned(results.plan, name))
        kept = "replica_batches" if "replica_batches" in own else "global_batches"
        if kept not in own:
            continue
        runs = timing_runs(results)
        runs = runs[(runs["experiment"] == name) & runs["global_batch"].isin([point.global_batch for point in points])]
        batches = runs["replica_batch" if kept == "replica_batches" else "global_batch"].unique()
        wanted = max(point.wanted for point in points)
        found.append(Gap(f"{name}: {counted(len(points), 'timing point')} vary too widely over their launches; "
                         f"{wanted} launches would tell",
                         {**own, kept: sorted(int(batch) for batch in batches), "launches": wanted}))
    return found


def _memory(results: Results, basis: Mapping[str, Any]) -> list[Gap]:
    runs = results.runs[results.runs["kind"] == "memory"]
    sizes = runs.loc[runs["peak_bytes"].notna(), "replica_batch"].nunique()
    if sizes >= DISTINCT_SIZES:
        return []
    size = _examples(results)
    return [Gap(f"memory: {sizes} batches measured, the law needs {DISTINCT_SIZES}",
                {"name": "memory", "kind": "memory", **basis,
                 "global_batches": [size // part for part in (8, 4, 2, 1)]})]
