"""Every key a plan may hold: its type, default and meaning, once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union

from msgspec import defstruct, Meta, NODEFAULT, Struct, structs, UNSET, UnsetType

from ..config.choices import DROP, EXCHANGES, INPUTS, KINDS, LARGEST, LAST_BATCHES, ONE, PRECISIONS
from ..config.fields import RunFields
from ..config.objectives import CROSS_ENTROPY, LOSSES, METRICS
from ..config.optimizers import not_known, OPTIMIZERS
from ..config.strategies import STRATEGIES, strategy_variants
from ..decoding import choices, decoded, lists, meanings, MOST_SHOWN, TOML_WORDS
from ..errors import one_of, PlanError
from ..schedules.decays import DECAYS
from ..schedules.rules import PUBLISHED_RULE, RULES
from ..text import listed
from .derived_keys import MAX_SEEDS, MIN_SEEDS

LONGEST_LIST = 256
LONGEST_TEXT = 2000
CHECKPOINT_SECONDS, WATCHDOG_SECONDS, RUNS_PER_GPU = 600.0, 1800.0, 1
SEARCH = (0.1, 10.0)
STRATEGY_NAMES = tuple(dict.fromkeys(name for strategy in STRATEGIES
                                     for name in (strategy, *strategy_variants(strategy))))
OVER_NODES = listed(name for name, spec in STRATEGIES.items() if spec.many_nodes)
CALLBACKS = "every run trains for the epochs that the plan says, so that batches can be compared, and calls no callback"
RATES = "the rate follows the batch by `rules`, rises over warmup_epochs and falls by decay, cosine for example"
OWN_LOSS = "write a loss of your own, loss = module:function, (targets, outputs) -> one number per example, which "
OF_KERAS = {
    **dict.fromkeys(("callbacks", "early_stopping", "restore_best_weights", "patience"), CALLBACKS),
    **dict.fromkeys(("reduce_lr_on_plateau", "reduce_lr", "lr_schedule", "learning_rate_schedule", "scheduler"), RATES),
    "class_weight": OWN_LOSS + "multiplies each example by the weight of its class",
    "sample_weight": OWN_LOSS + "multiplies by targets['weight'], and let the data function return targets "
                                "{'label': y, 'weight': w}",
    "label_smoothing": OWN_LOSS + "calls keras.losses.categorical_crossentropy with label_smoothing on one-hot targets",
    **dict.fromkeys(("validation_split", "validation_data"),
                    "validation_fraction of the training data is set aside, the same examples for every batch"),
    "shuffle": "every epoch has an order of its own, from the seed"}
"""What a plan says instead of arguments of Keras' fit and compile, by their names."""
RULE_NAMES = tuple(name for name in RULES if name != PUBLISHED_RULE)

Text = Annotated[str, Meta(max_length=LONGEST_TEXT)]
Whole = Annotated[int, Meta(ge=0, le=LARGEST)]
Amount = Annotated[float, Meta(ge=0, le=LARGEST)]
Texts = Annotated[tuple[Text, ...], Meta(max_length=LONGEST_LIST)]
Wholes = Annotated[tuple[Whole, ...], Meta(max_length=LONGEST_LIST)]
Amounts = Annotated[tuple[Amount, ...], Meta(max_length=LONGEST_LIST)]
Batches = Annotated[tuple[Whole | Literal["all"], ...], Meta(max_length=LONGEST_LIST)]


def about(meaning: str, names: tuple[str, ...] = ()) -> Meta:
    """Return the note of a key: what it means, and the texts that it may be where those are `names` alone."""
    return Meta(description=meaning, extra_json_schema={"enum": list(names)} if names else {})


class PlanSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table [plan]."""

    name: Annotated[Text, about("names the results folder")]
    question: Annotated[Text, about("what the study is to answer, printed at the top of the report")] = ""
    margin: Annotated[Amount, about(
        "difference in accuracy, as a fraction of at most 0.2, that counts as the same: 0.005 are 0.5 points")] = 0.005
    loss_margin: Annotated[Amount, about(
        "of experiments without an accuracy: difference in loss that counts as the same, as a share of the "
        "loss at the reference batch")] = 0.02
    earlier_looks: Annotated[Whole, about(
        "how often fewer of these seeds were judged already, and more were asked for because they did not decide; "
        "each look halves the level, so that going on until a result is decided errs no more often. The plan that a "
        "report says to run next has it")] = 0
    first_seed: Annotated[Whole, about("seeds are first_seed, first_seed + 1, ...")] = 0
    leaves_out: Annotated[Texts, about("what this plan does not measure, printed in the report")] = ()
    drift_guard: Annotated[bool, about("time one short run at the start and again at the end")] = True
    checkpoint_seconds: Annotated[Amount, about(
        "a run that trains longer keeps its state at the first end of an epoch after each such time; 0: at "
        "each. The next attempt goes on from there")] = CHECKPOINT_SECONDS
    watchdog_seconds: Annotated[Amount, about(
        "a run that gets on nowhere for so long is ended as timed_out, with the stacks of all ranks; longer "
        "than the longest compilation or evaluation; 0: never. It changes no result, so it may be edited "
        "between two commands")] = WATCHDOG_SECONDS
    runs_per_gpu: Annotated[Whole, about(
        "the most accuracy runs that train on one GPU at a time, a power of two; fewer where memory does not hold "
        "them, or they are measured to do no more work together than half as many. What they then take is longer than "
        "alone: time batches by throughput experiments. 1: each has a GPU to itself")] = RUNS_PER_GPU
    launch_summary: Annotated[Text, about(
        "what stands for the launches of a timing point in efficiencies: the geometric mean of their ratios, or the "
        "median, which one disturbed launch does not move; it has an interval from 6 launches on",
        ("mean", "median"))] = "mean"
    price_per_device_hour: Annotated[Amount | UnsetType, about("for costs; absent: no costs")] = UNSET


class Experiment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table [[experiment]], with what it takes from [defaults]."""

    name: Annotated[Text, about("names the experiment")]
    kind: Annotated[Text, about("what is collected", KINDS)] = "accuracy"
    script: Annotated[Text, about(
        "a Keras script, run unchanged up to its fit: data, model, loss, metrics, optimizer and epochs are what it "
        "gives there, in place of the keys dataset, model, loss and metrics; a path beside the plan")] = ""
    script_args: Annotated[Texts, about("the script's command line")] = ()
    fit: Annotated[Whole, about("which of the script's calls of fit is taken, from 1; earlier ones train as they "
                                "stand")] = 1
    dataset: Annotated[Text, about(
        "built-in name, npz:PATH, idx:FOLDER, tfrecord:PATH,... or images:PATH,... (read while training), "
        "synthetic:SHAPE,... or module:function")]
    stand_in: Annotated[Text, about(
        "the data set that serves in the whole plan where `dataset` is not on the machine; decided before the first "
        "run, and the same for as long as the results folder is; default: none, and its absence is an error")] = ""
    model: Annotated[Text, about("built-in name or module:function")]
    loss: Annotated[Text, about(
        f"what is minimized: {', '.join(LOSSES)}, or module:function, (targets, outputs) -> one number per "
        "example")] = CROSS_ENTROPY
    metrics: Annotated[Texts | UnsetType, about(
        f"what evaluations measure beside the loss: {', '.join(METRICS)}, or module:function as for the loss; "
        "default: accuracy with a cross-entropy, else none")] = UNSET
    from_logits: Annotated[bool, about(
        "whether the model ends in logits, which the cross-entropies and the accuracy take; false: in probabilities, "
        "those of a softmax or a sigmoid")] = True
    optimizer: Annotated[Text, about(
        "update rule; or one of Keras' with its arguments, keras:Lion beta_1=0.95, or module:function, () -> a Keras "
        "optimizer", tuple(OPTIMIZERS))] = "sgd"
    momentum: Annotated[Amount, about("of the optimizers momentum, nesterov and lars")] = 0.9
    weight_decay: Annotated[Amount | UnsetType, about(
        "of adamw (default: Keras', 0.004), lars and lamb (default: 0); not on biases and normalization "
        "parameters")] = UNSET
    learning_rate: Annotated[Amount | UnsetType, about(
        "eta0, at the reference batch; default: Keras' (adam, adamw and lamb 0.001, sgd, momentum and "
        "nesterov 0.01); lars has none")] = UNSET
    reference_batch: Annotated[Whole | UnsetType, about(
        "B0, at which every rule gives eta0, one of the batches; default: 32 where it is one, else the "
        "smallest")] = UNSET
    warmup_epochs: Annotated[Amount | UnsetType, about(
        "length of the gradual warm-up of the rules linear and tuned; cosine and polynomial decay begin here "
        "under every rule; default: 5, or half of the epochs of a run of fewer than 10")] = UNSET
    legw_epochs: Annotated[Amount | UnsetType, about(
        "epochs of warm-up at the reference batch under the rule legw, which needs it and multiplies it by "
        "kappa")] = UNSET
    noise_scale: Annotated[Amount | UnsetType, about(
        "Bn in examples, which the rules noise_scale and surge need: measure it first, with noise_batches")] = UNSET
    rate_exponent: Annotated[Amount | UnsetType, about(
        "a of best rate ~ batch^a, which the rule measured needs: measure it first, with rules = [\"tuned\"] at three "
        "batches or more")] = UNSET
    decay: Annotated[Text, about(
        "how the rate falls after warm-up, by epochs, the same at every batch", tuple(DECAYS))] = ""
    decay_epochs: Annotated[Amounts, about(
        "epochs after which piecewise decay multiplies the rate by decay_factor")] = ()
    decay_factor: Annotated[Amount, about("of piecewise decay")] = 0.1
    decay_power: Annotated[Amount, about("of polynomial decay, (1 - p) ^ power")] = 2.0
    clip_norm: Annotated[Amount, about(
        "largest global norm of the gradient, clipped after the average over replicas; 0: no clipping")] = 0.0
    accumulation: Annotated[Whole, about(
        "micro-batches a replica takes one after another in a step, to reach a global batch that does not "
        "fit")] = 1
    global_batches: Annotated[Batches | UnsetType, about("global batches; \"all\" is the whole training set")] = UNSET
    replica_batches: Annotated[Wholes | UnsetType, about(
        "batches per replica, multiplied by replicas and accumulation (weak scaling)")] = UNSET
    rules: Annotated[Texts, about("learning-rate rules", RULE_NAMES)] = ("constant",)
    trials: Annotated[Whole, about("learning rates that the rule tuned tries at each batch, with every seed")] = 8
    search: Annotated[Amounts, about(
        "lowest and highest rate tried, as factors of the square-root rule's rate")] = SEARCH
    halve_after: Annotated[Wholes, about(
        "epochs after each of which the better half of the rates tried goes on, by the first 3 seeds, and the others "
        "end; the best one stands where the rates on either side of it were trained to the end as well, beyond "
        "`search` if need be; default: every rate is trained to the end")] = ()
    as_published: Annotated[bool, about("also train the batches one after another on the same weights")] = False
    seeds: Annotated[Whole | Literal["auto"], about(
        "runs per point, paired over batches; \"auto\": as many as it takes, the study being judged again as they come "
        "in, at levels that allow for it, and each batch and rule ending where it is decided")] = 6
    min_seeds: Annotated[Whole, about(
        "of seeds = \"auto\": runs of each point before the first look, at least 3")] = MIN_SEEDS
    max_seeds: Annotated[Whole, about("of seeds = \"auto\": the most runs of a point")] = MAX_SEEDS
    claim_seeds: Annotated[Whole, about(
        "of seeds = \"auto\": runs of the reference batch and of the batch that decides the claims, at the constant "
        "rate, whatever is decided sooner; as many as max_seeds at most")] = 0
    epochs: Annotated[Whole, about("length of an accuracy run")] = 10
    validation_fraction: Annotated[Amount, about("of the training data, for choosing")] = 0.2
    train_subset: Annotated[Whole, about("training examples evaluated for the train metrics")] = 10_000
    noise_batches: Annotated[Wholes, about("batches of the gradient-norm probe, at the reference batch's runs")] = ()
    sharpness_examples: Annotated[Whole, about(
        "training examples, at least 1000, on which every accuracy run ends with its top Hessian eigenvalue "
        "and SAM sharpness; 0: not measured")] = 0
    strategies: Annotated[Texts, about("how replicas train together", STRATEGY_NAMES)] = ("single",)
    replicas: Annotated[Wholes, about("numbers of replicas")] = (1,)
    nodes: Annotated[Wholes, about(
        f"numbers of nodes that the replicas of {OVER_NODES} are spread over; more than 1: on Slurm")] = (1,)
    cores_per_replica: Annotated[Whole, about("CPU cores a replica owns")] = 1
    exchange: Annotated[Texts, about(
        "how a step's gradients go from replica to replica: in one piece once all are there, or in groups, each sent "
        "as soon as it is there, while the backward pass goes on; several: an arm each", EXCHANGES)] = (ONE,)
    scaling: Annotated[Text, about(
        "what a throughput experiment of several replica counts keeps fixed: each replica's batch (weak) or the global "
        "one (strong); default: what its batches say", ("", "weak", "strong"))] = ""
    only_kept: Annotated[bool, about(
        "of a throughput experiment beside accuracy experiments of the same data, model and optimizer with seeds = "
        "\"auto\": times, once these are decided, no batch that they train and keep under no rule")] = False
    launches: Annotated[Whole, about("independent launches of each timing point")] = 3
    warmup_steps: Annotated[Whole, about("steps before timing")] = 20
    windows: Annotated[Whole, about("timed windows per launch")] = 10
    window_seconds: Annotated[Amount, about("length of a window; its step count is fixed before timing")] = 0.2
    precision: Annotated[Text, about(
        "of weights and arithmetic; mixed: arithmetic in 16 bits, weights, losses and updates in float32, "
        "with dynamic loss scaling for float16", PRECISIONS)] = "float32"
    tf32: Annotated[bool | UnsetType, about(
        "whether GPUs that can may round the factors of float32 products to 10 bits, which is faster; default: "
        "TensorFlow's, which does so, and a run that did warns of it")] = UNSET
    deterministic: Annotated[bool, about(
        "the same bits from the same seed on GPUs too, at some speed; on CPUs they are the same in any case")] = False
    jit: Annotated[bool, about("XLA compilation of each replica's loss and gradient, the same in all arms")] = False
    synchronized_batch_norm: Annotated[bool, about(
        "batch norm over the examples of all replicas, instead of each replica's own")] = False
    input: Annotated[Text, about(
        "resident on the device, or streamed from memory; data sets on disk are always read from "
        "there", INPUTS)] = "auto"
    last_batch: Annotated[Text, about(
        "the smaller batch that is left over at the end of an epoch of an accuracy run: taken, as Keras' fit does, or "
        "left out; a script's default is to keep it. Under adascale it is left out in any case", LAST_BATCHES)] = DROP


# As [defaults] may hold them: nothing is required, and nothing filled in.
Defaults = defstruct("Defaults", [(field.name, Union[field.type, UnsetType], UNSET)
                                  for field in structs.fields(Experiment)], forbid_unknown_fields=True)
# What is decided for each run by itself; the experiment's other keys that a run has too are the run's.
DECIDED = ("kind", "metrics", "weight_decay", "legw_epochs", "noise_scale", "rate_exponent", "noise_batches",
           "sharpness_examples", "replicas", "nodes", "exchange", "last_batch")
PASSED_THROUGH = tuple(name for name in RunFields.__dataclass_fields__
                       if name in Experiment.__struct_fields__ and name not in DECIDED)


def setting_seconds(settings: Mapping[str, Any], name: str) -> float:
    """Return a [plan] key in seconds, from plan.json's settings; its default where they have no usable number.

    The key is in no run's configuration.
    """
    value = settings.get(name)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= LARGEST:
        return float(value)
    return {"checkpoint_seconds": CHECKPOINT_SECONDS, "watchdog_seconds": WATCHDOG_SECONDS}[name]


def setting_count(settings: Mapping[str, Any], name: str) -> int:
    """Return a [plan] key that counts, from plan.json's settings; its default where they have no usable number."""
    value = settings.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST:
        return value
    return {"runs_per_gpu": RUNS_PER_GPU}[name]


def settings(values: object, where: str) -> dict[str, Any]:
    """Return the table [plan] with defaults filled in. Raises PlanError with the rule, the value and the choices."""
    return _checked(values, PlanSettings, where)


def experiment(values: object, where: str) -> dict[str, Any]:
    """Return a table [[experiment]] with defaults filled in. Raises PlanError."""
    return _checked(values, Experiment, where)


def defaults(values: object, where: str) -> dict[str, Any]:
    """Return some keys of an experiment, checked like all of them, and no others. Raises PlanError."""
    return _checked(values, Defaults, where)


def _checked(values: object, kind: type[Struct], where: str) -> dict[str, Any]:
    """Return the keys that have a value. A value alone stands for a list of one."""
    if isinstance(values, dict):
        if name := next((key for key in values if key in OF_KERAS), ""):
            raise PlanError(f"{where}: key={name!r} is one of Keras' and of no plan: {OF_KERAS[name]}.")
        several = lists(kind)
        values = {name: [value] if name in several and not isinstance(value, (list, tuple)) else value
                  for name, value in values.items()}
    found = structs.asdict(decoded(values, kind, PlanError, f"{where}: ", TOML_WORDS))
    found = {name: value for name, value in found.items() if value is not UNSET}
    for name, names in choices(kind).items():
        for item in _items(found.get(name, ())):
            if item not in names and not (name == "optimizer" and ":" in item):
                shown = item[:MOST_SHOWN]
                raise PlanError(f"{where}: {not_known(shown) if name == 'optimizer' else one_of(name, shown, names)}")
    return found


def _items(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def reference() -> str:
    """Return the keys as Markdown tables."""
    return (f"### [plan]\n\n{_table(PlanSettings)}\n"
            f"### [[experiment]], and [defaults] for all\n\n{_table(Experiment)}")


def _table(kind: type[Struct]) -> str:
    said, known, rows = meanings(kind), choices(kind), []
    for field in structs.fields(kind):
        default = "required" if field.default is NODEFAULT else "" if field.default is UNSET else f"`{field.default!r}`"
        names = f" One of: {', '.join(name or '(none)' for name in known[field.name])}." if field.name in known else ""
        rows.append(f"| `{field.name}` | {default} | {said[field.name]}.{names} |\n")
    return f"| key | default | meaning |\n|---|---|---|\n{''.join(rows)}"
