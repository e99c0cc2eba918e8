"""What is taken of a script, and the one sentence for each that cannot be taken over."""

from __future__ import annotations

from typing import Any

import pytest
from support.one_process import found_by

from batchscale.benchmarks.config.optimizers import KERAS_RATES

pytestmark = pytest.mark.launched


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return found_by("script_takes.py")


def test_a_plain_script_gives_its_fit_and_runs_no_further(found: dict[str, Any]) -> None:
    assert found["plain"] == {
        "train_examples": 100, "test_examples": 30, "epochs": 3, "batch_size": 20, "optimizer": "adam", "momentum": 0.9,
        "learning_rate": pytest.approx(0.001), "loss": "binary_crossentropy", "metrics": ["accuracy"],
        "precision": "float32", "published_way": False, "notes": []}


@pytest.mark.parametrize(("name", "train", "test"), [
    ("split", 75, 25), ("held out", 80, 20), ("pipeline", 100, 100), ("steps", 80, 100), ("generator", 60, 100),
    ("the second", 40, 10), ("swallows", 80, 20), ("arguments", 80, 20), ("strategy", 80, 20),
    ("lazy", 30, 100), ("evaluates", 100, 30), ("evaluates outside", 100, 25), ("evaluates later", 80, 20),
    ("evaluates another", 80, 20), ("shuffled", 96, 100), ("shuffled on", 80, 100), ("unnamed", 80, 20),
    ("finds", 80, 20)])
def test_the_examples_are_those_that_fit_would_see(found: dict[str, Any], name: str, train: int, test: int) -> None:
    assert not isinstance(found[name], str), found[name]
    assert (found[name]["train_examples"], found[name]["test_examples"]) == (train, test)


@pytest.mark.parametrize(("name", "said"), [
    ("endless", "a pipeline without an end; leave out .repeat()"),
    ("augmented", "a pipeline that draws other examples each time"),
    ("never fits", "never calls fit of a Keras model"),
    ("only once", "calls fit once, and fit = 2 was asked for"),
    ("by batches", "trains by model.train_on_batch"),
    ("no file", "raised FileNotFoundError: [Errno 2] No such file or directory: 'absent.npy' before its first fit"),
    ("raises", "raised ValueError: no such mode before its first fit"),
    ("ends", "ended Python by sys.exit(3) before its first fit"),
    ("sum", "has reduction='sum'"),
    ("average", "has use_ema=True, which evaluates an average of the weights"),
    ("schedule free", "ScheduleFreeAdamW, which does not make the published update under TensorFlow"),
    ("own step", "its compile has no loss"),
    ("several", "fits a Sequential with 1 optimizer beside that of compile (second), as a GAN has"),
    ("texts", "a run takes arrays of numbers, of equal rows, and texts as inputs"),
    ("by nothing", "its LearningRateScheduler raised KeyError: 'no rate' at epoch 0"),
    ("does not fit", "its model raised ValueError: "),
    ("inputs alone", "gives no targets to fit, and its model has no train_step of its own that needs none"),
    ("tells nothing", "its train_step tells none, so that nothing would judge a run. Let it return {'loss': loss}"),
    ("unbuilt", "its model has no call, and "),
    ("its sum", "its loss between is a sum over the batch's examples"),
    ("the mean of weights", "the loss between of script 'the_mean_of_weights.py' returns a single number for a batch"),
])
def test_what_cannot_be_taken_over_is_refused_in_one_sentence(found: dict[str, Any], name: str, said: str) -> None:
    assert isinstance(found[name], str) and said in found[name]
    assert f"{name.replace(' ', '_')}.py" in found[name] and "Traceback" not in found[name]


def test_what_a_script_raises_is_told_with_its_lines(found: dict[str, Any]) -> None:
    assert 'raises.py", line 9, in <module>\n    prepare()' in found["raises"]
    assert 'raises.py", line 8, in prepare\n    raise ValueError' in found["raises"]


@pytest.mark.parametrize(("name", "notes"), [
    ("follows", []), ("watches", ["callback EarlyStopping watches val_auc, which a run does not measure"]),
    ("falls", ["callback ReduceLROnPlateau: Keras lowers no rate that follows a schedule"]),
    ("callbacks", ["callback EarlyStopping", "shuffle=False"]), ("area", ["metric auc is no mean over examples"]),
    ("steps", ["the first 5 batches of its pipeline"]), ("strategy", ["tf.distribute.MirroredStrategy of the script"]),
    ("by epoch", []), ("by both", ["callback LearningRateScheduler"]),
    ("spread", ["metric r2 is no mean over examples"]), ("attends", []), ("either", []),
    ("goes on", ["its fit in line 12, which comes after this one, is left out: --fit 2"]),
    ("another", ["its fit in line 10, which comes after this one, is left out: --fit 2"]),
    ("in functions", ["its fits in lines 14 and 15, which come after this one, are left out: --fit 2"]),
    ("the second", ["its first fit trains as it stands, in every process before a run begins"]),
    ("a tuple", []), ("the mean", []), ("tells", []),
    ("words", ["how Keras updates embedding by Adam: of a token that a batch has several times"]),
    ("its root", ["its loss between gives one number for a batch, which is no mean over its examples"]),
    ("pipeline", ["its pipeline is read into memory once (3.91 KiB): every epoch has a new order"]),
    ("shuffled", ["its pipeline is read into memory once", "its pipeline shuffles and then leaves some out"]),
    ("shuffled on", ["the first 5 batches of its pipeline"]), ("loads", ["weights that it loads: every run begins"]),
    ("sets", ["what it sets by tf.config: devices, threads and how a step is compiled are the run's own",
              "KERAS_BACKEND=jax of the script: runs train by tensorflow"]),
    ("loop", ["its loop around fit on one model that is not built anew"]), ("own loop", ["its loop around fit: the"]),
    ("called in a loop", ["its loop around fit: the first call is taken"])])
def test_what_is_left_out_is_named(found: dict[str, Any], name: str, notes: list[str]) -> None:
    told = [said for said in found[name]["notes"] if not said.startswith("no validation data")]
    assert len(told) == len(notes) and all(said.startswith(note) for said, note in zip(told, notes))


def test_what_is_noticed_of_data_read_twice_is_known_to_records_too(found: dict[str, Any]) -> None:
    assert found["notes of data"] == found["shuffled"]["notes"] and len(found["notes of data"]) == 2


def test_examples_that_are_held_out_are_told(found: dict[str, Any]) -> None:
    assert found["held out"]["notes"] == ["no validation data: a random 0.2 of the examples is held out for judging, "
                                          "so that a run trains on the others alone"]
    assert found["split"]["notes"] == []


@pytest.mark.parametrize(("name", "said"), [
    ("evaluates", "no validation data in its fit: a run is judged by the data of its evaluate in line 10"),
    ("evaluates later", "no validation data, and the data of its evaluate in line 9 cannot be had (late is not "
                        "there yet when fit is called): a random 0.2 of the examples is held out"),
    ("evaluates another", "no validation data: a random 0.2 of the examples is held out")])
def test_it_is_told_what_a_run_is_judged_by(found: dict[str, Any], name: str, said: str) -> None:
    assert len(found[name]["notes"]) == 1 and found[name]["notes"][0].startswith(said)


def test_a_step_that_alone_knows_its_targets_judges_by_the_loss_that_it_tells(found: dict[str, Any]) -> None:
    told = found["tells"]
    assert (told["loss"], told["metrics"], told["batch_size"], told["optimizer"]) == ("train_step", [], 10, "adam")


def test_only_a_loop_on_one_model_is_the_published_way(found: dict[str, Any]) -> None:
    assert [found[name]["published_way"] for name in ("loop", "own loop", "plain")] == [True, False, False]


def test_a_schedule_gives_its_highest_rate_and_keeps_keras_own_momentum(found: dict[str, Any]) -> None:
    assert found["schedule"]["learning_rate"] == pytest.approx(2.0)
    assert found["schedule"]["optimizer"] == "keras:SGD momentum=0.5"
    assert found["area"]["optimizer"] == "sgd" and found["area"]["metrics"] == ["accuracy"]


def test_rates_of_epochs_scale_as_keras_would_set_them(found: dict[str, Any]) -> None:
    """A half, a half and one of 0.001; after the script's own epochs the last one stays."""
    assert found["by epoch"]["learning_rate"] == pytest.approx(0.001)
    assert found["factors by epoch"] == pytest.approx([0.5, 0.5, 0.5, 1, 1, 1])


def test_the_optimizers_of_keras_have_the_rates_that_the_suite_takes(found: dict[str, Any]) -> None:
    """All that keras.optimizers has but what the documentation says is refused, and the two that hold others."""
    assert KERAS_RATES == {name: rate for name, rate in found["rates"].items()
                           if name not in ("ScheduleFreeAdamW", "Optimizer", "LossScaleOptimizer", "MultiOptimizer")}


@pytest.mark.parametrize("what", ["everything", "a layer", "flags"])
def test_a_script_that_sets_a_seed_still_draws_by_the_runs(found: dict[str, Any], what: str) -> None:
    assert found["equal weights"][what] == [True, False]
