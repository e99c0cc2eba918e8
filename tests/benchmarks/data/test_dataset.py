"""Data sets by name: what is read, generated and refused."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batchscale.benchmarks import data
from batchscale.benchmarks.data.dataset import as_inputs, as_labels, as_taken, as_targets, checked_dataset
from batchscale.benchmarks.errors import DataError

RNG = np.random.Generator(np.random.PCG64(0))
X, Y = RNG.random((12, 4, 3)), np.arange(12) % 3


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory; a test's own module is forgotten after it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("own_data", None)


def test_an_unknown_name_lists_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(DataError, match="cifar10, digits, fashion_mnist, glyphs, mnist.*'mnist'"):
        data.load("mnits")
    with pytest.raises(DataError, match="npz:PATH, idx:FOLDER, images:PATH, tfrecord:PATH,.*or module:function"):
        data.describe_size("mnits")


@pytest.mark.parametrize("name", [
    "digits", "synthetic:5x4,classes=3,examples=30", "synthetic:7", "npz:own.npz", "own_data:make"])
def test_the_size_is_that_of_the_loaded_data(name: str, working_folder: Path) -> None:
    np.savez("own.npz", x_train=X, y_train=Y, x_test=X[:3], y_test=Y[:3])
    (working_folder / "own_data.py").write_text(
        "import numpy as np\n"
        "def make():\n"
        "    return (np.ones((4, 2)), np.arange(4)), (np.ones((2, 2)), np.arange(2))\n")
    dataset = data.load(name)
    assert data.describe_size(name) == dataset.size
    assert dataset.name == name
    assert dataset.train_x.shape == (dataset.size.train_examples, *dataset.input_shape)
    assert dataset.train_x.dtype == dataset.test_x.dtype == np.float32
    assert dataset.train_y.dtype == dataset.test_y.dtype == np.int32


# What any data set must be


def test_bytes_are_divided_by_255_and_floats_are_kept() -> None:
    pixels = as_inputs(np.array([[0, 51, 255]], np.uint8), "x")
    assert pixels.dtype == np.uint8 and as_taken(pixels).tolist() == [[0, np.float32(0.2), 1]]
    assert as_inputs(np.array([[-3.0, 7.5]]), "x").tolist() == [[-3, 7.5]]


@pytest.mark.parametrize("x, message", [
    (np.full((2, 3), -1), "runs from -1 to -1; whole numbers must be from 0"),
    ([[1, 2], [3]], "no array .*equal lengths"),
    (np.zeros((2, 3), bool), "dtype bool; give uint8"),
    (np.zeros((2, 3), object), "dtype object"),
    (np.zeros(5), r"shape \(5,\); it must be \(examples, features"),
    (np.zeros((0, 3)), "at least one example"),
    (np.array([[1, 2], [np.nan, 0], [0, np.inf]]), "in 2 of 3 examples, the first at index 1"),
    (np.array([[1e300, 0]]), "NaN or infinity in 1 of 1"),
])
def test_inputs_that_cannot_be_trained_on_are_refused(x: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=f"x_train .*{message}"):
        as_inputs(x, "x_train")


@pytest.mark.parametrize("y, message", [
    (np.array([0.0, 1.0]), r"dtype float64.*y.astype\('int32'\)"),
    (np.eye(3, dtype=np.int64), r"shape \(3, 3\).*use y.argmax\(axis=1\)"),
    (np.zeros((2, 2, 2), int), r"shape \(2, 2, 2\); it must be \(examples,\)"),
    (np.array([], int), "at least one example"),
    (np.array([-1, 0, 1]), "runs from -1 to 1"),
    (np.array([0, 2**40]), "runs from 0 to 1099511627776"),
])
def test_labels_that_are_no_classes_are_refused(y: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=f"y_train .*{message}"):
        as_labels(y, "y_train")


def test_tokens_stay_whole_numbers() -> None:
    tokens = as_inputs(np.array([[3, 0], [70_000, 2]], np.int64), "x")
    assert tokens.dtype == np.int32 and tokens.tolist() == [[3, 0], [70_000, 2]]


@pytest.mark.parametrize(("y", "dtype", "shape"), [
    ([0.5, 1.5], np.float32, (2,)), ([[0.5], [1.5]], np.float32, (2, 1)), (np.eye(2), np.float32, (2, 2)),
    ([1, 0], np.int32, (2,)), ([[1], [0]], np.int32, (2,)), ([[1, 2, 0], [5, 1, 0]], np.int32, (2, 3)),
    ([[1, 1, 0], [0, 1, 0]], np.int32, (2, 3))])
def test_targets_are_labels_tokens_or_numbers(y: Any, dtype: type, shape: tuple[int, ...]) -> None:
    found = as_targets(y, "y")
    assert found.dtype == dtype and found.shape == shape and np.array_equal(found.ravel(), np.ravel(y))


@pytest.mark.parametrize(("y", "message"), [
    (np.eye(3, dtype=int), r"one 1 in every row; for one-hot labels use y.argmax\(axis=1\).*y.astype\('float32'\)"),
    ([1.0, np.nan], "NaN or infinity in 1 of 2"), (["a", "b"], "labels must be whole numbers"),
    ([[1, -1]], "from -1 to 1"), (3, r"shape \(\)")])
def test_targets_that_cannot_be_trained_for_are_refused(y: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"y_train .*{message}"):
        as_targets(y, "y_train")


def test_classes_are_counted_for_each_output_and_none_for_a_regression() -> None:
    tokens, amounts = np.arange(24).reshape(12, 2), np.linspace(0, 1, 12)
    assert checked_dataset("own", (X, amounts), (X, amounts), "").classes == 0
    assert checked_dataset("own", (X, tokens), (X, tokens + 7), "").classes == 31
    both = {"kind": Y, "amount": amounts}
    dataset = checked_dataset("own", ({"b": X, "a": tokens}, both), ({"a": tokens, "b": X}, both), "")
    assert dataset.classes == {"amount": 0, "kind": 3}
    assert dataset.size == (12, 12, {"a": (2,), "b": (4, 3)}, {"amount": 0, "kind": 3})


@pytest.mark.parametrize(("train_y", "test_y", "message"), [
    ({"kind": Y}, {"type": Y}, r"y\['kind'\] \(\) int32 and test examples y\['type'\]"),
    ({"kind": Y}, Y, r"y\['kind'\].*and test examples y \(\) int32"),
    (Y, Y / 2, "int32 and test examples y .* float32"),
    ({"kind": Y[1:]}, {"kind": Y}, r"x_train 12, y_train\['kind'\] 11"),
    ({}, {}, "at least one, each a text"), ({1: Y}, {1: Y}, "keys \\[1\\]"),
    ({"kind": Y + 1}, {"kind": Y}, r"y_train\['kind'\] has 3 different labels, from 1"),
])
def test_several_outputs_must_fit_together(train_y: Any, test_y: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        checked_dataset("own", (X, train_y), (X, test_y), "")


def test_a_split_takes_the_same_rows_of_every_array() -> None:
    rows = np.arange(12, dtype=float)
    x, y = {"a": rows[:, None], "b": rows[:, None] * 2}, {"c": rows * 3, "d": Y}
    split = data.split(checked_dataset("own", (x, y), (x, y), ""), 0.25, 4)
    assert [len(part[1]["c"]) for part in (split.train, split.validation, split.train_subset)] == [9, 3, 4]
    for inputs, targets in (split.train, split.validation, split.train_subset, split.test):
        assert np.array_equal(inputs["a"] * 2, inputs["b"]) and np.array_equal(inputs["a"][:, 0] * 3, targets["c"])
        assert np.array_equal(targets["d"], inputs["a"][:, 0] % 3)


def test_a_column_of_labels_is_taken_as_a_row() -> None:
    assert as_labels(np.array([[2], [0]], np.uint8), "y").tolist() == [2, 0]


def test_parts_must_fit_together() -> None:
    with pytest.raises(DataError, match="x_test 12, y_test 11; every example"):
        checked_dataset("own", (X, Y), (X, Y[1:]), "")
    with pytest.raises(DataError, match=r"\(4, 3\) float32 and test examples x \(3, 4\)"):
        checked_dataset("own", (X, Y), (X.transpose(0, 2, 1), Y), "")
    with pytest.raises(DataError, match="3 different labels, from 1 to 3.*return_inverse"):
        checked_dataset("own", (X, Y + 1), (X, Y), "")
    with pytest.raises(DataError, match=r"y_test has the label 5, but the classes are 0\.\.2"):
        checked_dataset("own", (X, Y), (X, Y + 3), "")
    with pytest.raises(DataError, match="own has 1 class"):
        checked_dataset("own", (X, Y * 0), (X, Y * 0), "")
    assert checked_dataset("own", (X, Y), (X, Y), "", classes=7).classes == 7


# npz


def test_npz_is_read_relative_to_the_working_directory() -> None:
    pixels = (X * 255).astype(np.uint8)
    np.savez("own.npz", x_train=pixels, y_train=Y, x_test=pixels[:3], y_test=Y[:3])
    dataset = data.load("npz:own.npz")
    assert np.array_equal(dataset.train_x, pixels.astype(np.float32) / 255)
    assert dataset.test_y.tolist() == [0, 1, 2]
    assert dataset.source == "15 examples from the file own.npz"


def test_a_missing_archive_is_named_in_full(working_folder: Path) -> None:
    with pytest.raises(DataError, match=f"{working_folder}/none.npz; write it with numpy.savez"):
        data.load("npz:none.npz")


def test_missing_keys_are_named_beside_those_present() -> None:
    np.savez("own.npz", x_train=X, y_train=Y, images=X)
    with pytest.raises(DataError, match="lacks x_test, y_test; it has x_train, y_train, images"):
        data.load("npz:own.npz")


def test_a_single_array_or_a_text_is_not_an_archive() -> None:
    np.save("own.npy", X)
    with pytest.raises(DataError, match="own.npy is a single array"):
        data.load("npz:own.npy")
    Path("own.npz").write_text("text")
    with pytest.raises(DataError, match="own.npz cannot be read"):
        data.load("npz:own.npz")


def test_an_archive_of_objects_is_never_unpickled() -> None:
    np.savez("own.npz", x_train=np.array([Trap()] * 2), y_train=Y, x_test=X, y_test=Y)
    with pytest.raises(DataError, match="plain arrays"):
        data.load("npz:own.npz")
    assert not Path("trapped").exists()


class Trap:
    """Makes the folder `trapped` when unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("trapped",)


# synthetic


def test_synthetic_data_is_balanced_deterministic_and_in_range() -> None:
    name = "synthetic:6x5x2,classes=4,examples=200"
    dataset, again = data.load(name), data.load(name)
    assert dataset.size == (200, 50, (6, 5, 2), 4)
    assert np.bincount(dataset.train_y).tolist() == [50] * 4
    assert 0 <= dataset.train_x.min() and dataset.train_x.max() <= 1
    assert np.array_equal(dataset.train_x, again.train_x)
    assert np.array_equal(dataset.test_x, again.test_x)
    assert dataset.source.startswith("250 generated examples of shape 6x5x2: 4 classes")


def test_synthetic_data_can_be_learnt() -> None:
    dataset = data.load("synthetic:28x28x1,classes=10,examples=1000")
    x, test_x = dataset.train_x.reshape(1000, -1), dataset.test_x.reshape(250, -1)
    centres = np.stack([x[dataset.train_y == label].mean(axis=0) for label in range(10)])
    nearest = ((test_x[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == dataset.test_y).mean() > 0.9


@pytest.mark.parametrize("name, message", [
    ("synthetic:", "'' is not a shape"),
    ("synthetic:28x0", "'28x0' is not a shape"),
    ("synthetic:28x28,class=3", "'class=3' is not known; use classes=K and examples=N"),
    ("synthetic:28x28,classes=ten", "'classes=ten' is not known"),
    ("synthetic:28x28,classes=1", "classes=1 and examples=4096; there must be at least 2"),
    ("synthetic:28x28,classes=9,examples=8", "at least as many examples"),
])
def test_synthetic_names_are_checked(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        data.describe_size(name)


# digits


def test_digits_are_divided_evenly_class_by_class() -> None:
    """scikit-learn has 174 to 183 examples of each digit; a fifth, rounded up, is for testing."""
    dataset = data.load("digits")
    assert dataset.size == (1433, 364, (8, 8, 1), 10)
    counts = np.bincount(np.concatenate([dataset.train_y, dataset.test_y]))
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(dataset.test_y).tolist() == [-(-count // 5) for count in counts]
    assert dataset.train_x.min() == 0 and dataset.train_x.max() == 1
