"""The built-in models are the published ones: their parameters are counted by hand."""

from __future__ import annotations


import pytest
from support.one_process import found_by

pytestmark = pytest.mark.launched
DENSE_128 = 784 * 128 + 128 + 128 * 10 + 10
DENSE_3 = 784 * 512 + 512 + 512 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10
SMALL = 9 * 8 + 8 + 9 * 8 * 16 + 16 + 7 * 7 * 16 * 10 + 10
# 19 convolutions without bias, gamma and beta for each of their channels, and the last layer: the paper's 0.27 M.
RESIDUAL = (9 * (3 * 16 + 6 * 16 * 16 + 16 * 32 + 5 * 32 * 32 + 32 * 64 + 5 * 64 * 64)
            + 2 * (7 * 16 + 6 * 32 + 6 * 64) + 64 * 10 + 10)

C1 = (25 * (3 * 64 + 64 * 64) + 2 * 64 + 8 * 8 * 64 * 384 + 384 + 384 * 192 + 192
      + 2 * (2 * 64 + 384 + 192) + 192 * 10 + 10)
C2_CHANNELS = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
# Each convolution has a bias, gamma and beta for each of its channels.
C2 = (sum(9 * a * b + 3 * b for a, b in zip(C2_CHANNELS, C2_CHANNELS[1:])) + 512 * 512 + 3 * 512 + 512 * 10 + 10)


@pytest.fixture(scope="module")
def found() -> dict[str, tuple[int, list[int | None]]]:
    return found_by("count_parameters.py")


@pytest.mark.parametrize(("name", "parameters"), [("mlp_128", DENSE_128), ("mlp_512_256_128", DENSE_3),
                                                  ("cnn_small", SMALL), ("resnet_20", RESIDUAL),
                                                  ("keskar_c1", C1), ("keskar_c2", C2)])
def test_parameters(found: dict[str, tuple[int, list[int | None]]], name: str, parameters: int) -> None:
    assert found[name][0] == parameters


def test_the_sizes_are_those_that_the_models_state() -> None:
    assert (RESIDUAL, C1) == (269_722, 1_757_834)


def test_every_model_ends_in_logits(found: dict[str, tuple[int, list[int | None]]]) -> None:
    assert {name: shape for name, (_, shape) in found.items()} == dict.fromkeys(found, [None, 10])


def test_layers_that_draw_random_numbers_are_those_whose_rate_is_not_zero() -> None:
    assert {name: random for name, random in found_by("random_layers.py")["draws"].items() if random} == {
        "dropout": ["Dropout"], "lstm with dropout": ["LSTMCell"], "lstm with recurrent dropout": ["LSTMCell"],
        "noise": ["GaussianNoise"], "bidirectional with dropout": ["LSTMCell"], "flips": ["RandomFlip"],
        "rotation": ["RandomRotation"], "heads with dropout": ["Dropout"]}


def test_a_batch_norm_that_is_frozen_has_no_start_to_forget() -> None:
    assert found_by("random_layers.py")["updates"] == {"moves": 458, "is frozen": 0}
