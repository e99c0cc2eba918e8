"""What a user's data set, model, loss or metric gets wrong is one sentence before any rank starts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.launching import PROGRAMS, batchscale
from support.one_process import found_by

from batchscale.benchmarks.errors import EXIT_USAGE

pytestmark = pytest.mark.launched
MISTAKES = {
    "data raises": "own_mistakes:no_data.*raised OSError: the disk is gone.*must return",
    "data exits": r"own_mistakes:exits': the function ended Python by sys.exit\(3\); it is called without",
    "data is one-hot floats": r"takes labels .*:one_hot_floats' are \(examples, 3\) float32.*argmax\(axis=-1",
    "data is uneven": "own_mistakes:uneven_data.* x_test 9, y_test 8; every example",
    "data is too small": "own_mistakes:two_examples.* has 2 training examples; it must have at least 3",
    "data is huge": r"loss 'mean_squared_error' is \[inf, inf, inf\] on the first 3 examples.*scale the inputs",
    "no function": "loss='own_mistakes:absent'.*has no function absent; it has: .*averaged",
    "no module": "metrics='nowhere:metric': importing nowhere raised ModuleNotFoundError",
    "float labels": r"are \(examples\) float32.*for a regression choose loss = 'mean_squared_error'",
    "labels as numbers": r"\(examples\) int32 and \(examples, 10\) float32.*loss = 'sparse_categorical_crossentropy'",
    "accuracy of numbers": "metric 'accuracy' takes targets 0 and 1.*such as mean_absolute_error",
    "yes and no of numbers": "loss 'binary_crossentropy' takes targets from 0 to 1.*those of 'own_tasks:regression'",
    "yes and no of classes": "metric 'accuracy' takes targets 0 and 1.* run from 0 to 9",
    "built-in loss of several": "takes one target and one output, not targets: amount, kind.*function of your own",
    "built-in model of several": r"model 'mlp_128'.*several inputs \(numbers, tokens\); give a model of your own",
    "no built-in model": "model='mlp_129' is not known.*Did you mean 'mlp_128'[?]",
    "an output is missing": r"loss 'own_tasks:both'.*outputs kind \(examples, 3\) float32, raised KeyError: 'amount'",
    "model raising_model": "own_mistakes:raising_model' raised ValueError: .*called with input_shape=",
    "model bare_model": r"called with input_shape=.* Write def bare_model\(input_shape, classes\):, whether",
    "model number_model": "own_mistakes:number_model' returned int; it must return a keras.Model",
    "model not_flattened": r"outputs \(examples, 64, 10\) float32.*before its last layer put keras.layers.Flatten\(\)",
    "model eleven_logits": r"own_mistakes:eleven_logits' gives outputs of shape \(11,\).*must end in 10 logits",
    "model one_row": r"own_mistakes:one_row' gives \(1, 10\) for 3 examples; every output must have one row",
    "model detached_model": "no gradient to .*lost/kernel, .*lost/bias of model 'own_mistakes:detached_model'",
    "model unbuilt_model": r"own_mistakes:unbuilt_model' is not built.*keras.Input\(input_shape\)",
    "loss raising": "loss 'own_mistakes:raising'.* raised RuntimeError: no such head[.]",
    "loss averaged": r"loss 'own_mistakes:averaged' returned a single number.*leave out the mean",
    "loss broadcast": r"loss 'own_mistakes:broadcast' gives an example another value.*\(n, 1\), which gives \(n, n\)",
    "loss centred": "loss 'own_mistakes:centred' gives an example another value.*mean over axis 0",
    "loss nothing": "loss 'own_mistakes:nothing' returned NoneType; it must return a tensor",
    "loss whole": "loss 'own_mistakes:whole' returned the type int64; it must return a float",
    "loss rounded": "loss 'own_mistakes:rounded' gives no gradient to .*kernel.*no argmax or rounding",
    "loss infinite": "loss 'own_mistakes:infinite' is .*inf.* at the initial weights",
    "loss steep": "loss 'own_mistakes:steep' gives a gradient that is not finite.*square roots",
    "loss numpy_loss": "loss 'own_mistakes:numpy_loss'.*no attribute 'numpy'.*without .numpy",
    "loss one_value": "loss 'own_mistakes:one_value' returned 1 values for 3 examples",
    "metric raising": "metric 'own_mistakes:raising'.* raised RuntimeError.*one value for each example.*such as AUC",
    "metric averaged": "metrics 'own_mistakes:averaged' returned a single number",
    "metric broadcast": "metric 'own_mistakes:broadcast' gives an example another value",
    "metric whole": "metrics 'own_mistakes:whole' returned the type int64",
}
MINE, TASKS = "own_mistakes.py", "own_tasks.py"
RAISED_BY_OWN_CODE = {
    "data raises": (MINE, "no_data", "the disk is gone"), "loss raising": (MINE, "raising", "raise RuntimeError("),
    "metric raising": (MINE, "raising", "raise RuntimeError("), "loss numpy_loss": (MINE, "numpy_loss", ".numpy()"),
    "model raising_model": (MINE, "_model", "keras.Sequential("),
    "an output is missing": (TASKS, "both", '["amount"]'), "data exits": (MINE, "exits", "sys.exit(3)"),
}
GOOD = ("good", "good regression", "good two kinds", "metric infinite")  # a metric may be undefined at the start


@pytest.fixture(scope="module")
def sentences() -> dict[str, str]:
    return found_by("own_mistakes.py")


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_sentence_with_the_function_and_the_fix(sentences: dict[str, str], name: str) -> None:
    sentence, *frames = sentences[name].splitlines()
    assert re.search(MISTAKES[name], sentence), sentence
    assert bool(frames) == (name in RAISED_BY_OWN_CODE), frames


@pytest.mark.parametrize("name", RAISED_BY_OWN_CODE)
def test_what_own_code_raises_keeps_its_file_line_and_function(sentences: dict[str, str], name: str) -> None:
    place, line = sentences[name].splitlines()[-2:]
    file, function, text = RAISED_BY_OWN_CODE[name]
    assert re.fullmatch(rf'  File ".*/{file}", line \d+, in {function}', place), sentences[name]
    assert text in line


def test_what_is_right_passes_and_every_case_is_looked_at(sentences: dict[str, str]) -> None:
    assert [sentences[name] for name in GOOD] == [""] * len(GOOD)
    assert set(sentences) == {*GOOD, *MISTAKES}


def test_nothing_is_launched_or_written_when_a_step_cannot_be_done(tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text(
        '[plan]\nname = "wrong"\n[defaults]\ndataset = "own_tasks:regression"\nmodel = "mlp_128"\nseeds = 1\n'
        'loss = "own_mistakes:averaged"\n[[experiment]]\nname = "one"\nglobal_batches = [32]\n')
    done = batchscale("study", "wrong.toml", cwd=tmp_path, PYTHONPATH=str(PROGRAMS))
    assert done.returncode == EXIT_USAGE
    said = done.stderr.removeprefix("checking data and model\n")
    assert said.startswith("batchscale study: loss 'own_mistakes:averaged' returned a single number")
    assert len(said.splitlines()) == 1 and not (tmp_path / "results").exists()
