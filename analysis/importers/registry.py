"""The formats that can be imported: a new one is its module and its line here.

Modules of formats are imported when a file is read: the command line asks for the names and the help at every start.
"""

from __future__ import annotations

from dataclasses import dataclass

CONVERGENCE, TRAINING, TIMING = "convergence", "training", "timing"
TARGET, SIZES = "--target", "--train-examples"
TRAININGS = (TRAINING, "accuracy")
BATCH = "the batch: --set global_batch=64"


@dataclass(frozen=True)
class Kind:
    """Columns that a run of one kind must have: all of `needed`, and at least one of `one_of` where there are any."""

    needed: tuple[str, ...]
    one_of: tuple[str, ...] = ()


# In the order in which a table's columns are held against them.
KINDS: dict[str, Kind] = {
    "accuracy": Kind(("global_batch", "reference_batch", "rule", "seed", "epochs", "train_examples"),
                     ("test_accuracy", "test_loss")),
    "throughput": Kind(("replicas", "global_batch"), ("examples_per_second", "step_seconds")),
    "memory": Kind(("replica_batch",), ("peak_bytes", "device_peak_bytes")),
    CONVERGENCE: Kind(("global_batch",), ("epochs_to_target", "examples_to_target", "steps_to_target")),
    TRAINING: Kind(("seconds_to_target",)),
    TIMING: Kind(("step_seconds",))}


@dataclass(frozen=True, kw_only=True)
class Importer:
    """One format. help: what the path is. module: below this folder, with `recognizes(sample) -> bool` and
    `read(sources, options) -> Found`.

    kinds: of the runs that it brings, keys of KINDS. takes: the options that say what the file does not. needs: what
    the files do not say, and the words that say it. judged: its trainings become accuracy runs, which are judged
    against each other, where all is known that such runs need.
    """

    help: str
    module: str
    kinds: tuple[str, ...]
    takes: tuple[str, ...] = ()
    needs: str = ""
    judged: bool = False


IMPORTERS: dict[str, Importer] = {
    "mlperf-rcp": Importer(
        help="MLPerf's reference convergence points, rcps_*.json", module="mlperf.reference_points",
        kinds=(CONVERGENCE,), takes=(SIZES,)),
    "mllog": Importer(
        help="MLPerf training logs with :::MLLOG or :::MLL lines, one file or a folder of result_*.txt",
        module="mlperf.mllog",
        kinds=(CONVERGENCE,), takes=(SIZES,)),
    "horovod": Importer(
        help="the text of Horovod's synthetic benchmarks, one file or a folder of them", module="benchmarks.horovod",
        kinds=("throughput",)),
    "dawnbench": Importer(
        help="a DAWNBench entry's TSV with its JSON beside it, or a folder of entries", module="published.dawnbench",
        kinds=(TRAINING,), takes=(TARGET,)),
    "batch-science": Importer(
        help="a folder of Shallue et al.'s measurements, with study.json and TRIAL/measurements.csv",
        module="published.batch_science", kinds=(CONVERGENCE,), takes=(TARGET,)),
    "pytest-benchmark": Importer(
        help="a file that pytest wrote with --benchmark-json", module="benchmarks.pytest_benchmark", kinds=(TIMING,)),
    "csv": Importer(
        help="a table with the columns of results.csv, one run a row", module="csv_table", kinds=tuple(KINDS)),
    "tf-cnn-benchmarks": Importer(
        help="what tf_cnn_benchmarks prints, one file or a folder of them", module="benchmarks.tf_cnn",
        kinds=("throughput",)),
    "jube": Importer(
        help="a table of jube result with the columns of CARAML, as CSV or with bars, or a folder of them",
        module="benchmarks.jube", kinds=("throughput",)),
    "collectives": Importer(
        help="what nccl-tests or the OSU micro-benchmarks print about one collective", module="benchmarks.collectives",
        kinds=(TIMING,), needs="of OSU's text the ranks: --set replicas=16"),
    "recorder": Importer(
        help="what batchscale.Recorder wrote beside a fit, one file or the folder of them",
        module="trainings.keras.recorded", kinds=(*TRAININGS, "throughput", "memory"), takes=(SIZES,),
        needs="to judge batches, the rule: --set rule=constant", judged=True),
    "trainer-state": Importer(
        help="Hugging Face's trainer_state.json, or a folder with some", module="trainings.trainer_state",
        kinds=TRAININGS, takes=(SIZES,), needs=BATCH, judged=True),
    "lightning": Importer(
        help="Lightning's metrics.csv with hparams.yaml beside it, or a folder of versions",
        module="trainings.lightning", kinds=TRAININGS, takes=(SIZES,), needs=BATCH, judged=True),
    "keras-log": Importer(
        help="the table of Keras' CSVLogger, or a folder of them", module="trainings.keras.log", kinds=TRAININGS,
        takes=(SIZES,), needs=BATCH, judged=True),
    "keras-history": Importer(
        help="the history of Keras' fit as JSON, {\"loss\": [...], ...}, or a folder of them",
        module="trainings.keras.history", kinds=TRAININGS, takes=(SIZES,), needs=BATCH, judged=True),
    "tensorboard": Importer(
        help="TensorBoard's event files: one, a run's folder (train and validation), or a folder of runs",
        module="trainings.tensorboard", kinds=TRAININGS, takes=(SIZES,), needs=BATCH, judged=True),
    "mlflow": Importer(
        help="MLflow's mlruns folder or mlflow.db", module="trainings.mlflow", kinds=TRAININGS, takes=(SIZES,),
        needs=BATCH, judged=True),
    "wandb": Importer(
        help="Weights & Biases' files of a run (config.yaml, wandb-summary.json, output.log), or the folder wandb",
        module="trainings.wandb", kinds=TRAININGS, takes=(SIZES,), needs=BATCH, judged=True),
    "dllogger": Importer(
        help="lines of NVIDIA's DLLogger, as printed or as JSON", module="trainings.dllogger",
        kinds=(*TRAININGS, "throughput"), takes=(SIZES,), needs=f"{BATCH}; for throughput also --set replicas=8",
        judged=True),
}


def takers(option: str) -> str:
    """Return the formats that take an option, in words."""
    return " and ".join(sorted(name for name, one in IMPORTERS.items() if option in one.takes))
