"""Operations and parameters are those counted by hand, attention's too; what is not counted is named."""

from __future__ import annotations

from typing import Any

import pytest
from support.one_process import found_by

pytestmark = pytest.mark.launched


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return found_by("count_flops.py")


@pytest.mark.parametrize(("name", "flops"), [
    ("dense", 2 * 20 * 30 + 30), ("dense relu", 2 * 20 * 30 + 2 * 30),
    ("convolution", 2 * 8 * 8 * 5 * 9 * 3), ("groups", 2 * 4 * 4 * 6 * 9 * 2), ("depthwise", 2 * 8 * 8 * 3 * 9),
    ("transposed", 2 * 4 * 4 * 3 * 2 * 2 * 5), ("pooling", 4 * 4 * 3 * 4)])
def test_layers(found: dict[str, Any], name: str, flops: int) -> None:
    assert found[name] == [flops, []]


def test_an_attention_block(found: dict[str, Any]) -> None:
    """T = 8 places, width 12, 3 heads of 4: four projections with biases, scores, weighted sum; softmax 5 and the
    scale 1 for each of 3 x 8 x 8 scores."""
    projections = 4 * (2 * 8 * 12 * 12 + 8 * 12)
    products, scores = 2 * (2 * 8 * 8 * 12), 3 * 8 * 8
    total, missed = found["attention"]
    assert missed == []
    assert projections + products + 6 * scores <= total <= projections + products + 6 * scores + 3  # 1 / sqrt(4)
    more = found["causal"][0] - total
    assert 0 < more < 10 * scores, "the mask is compared and added"


def test_einsum_by_its_labels(found: dict[str, Any]) -> None:
    assert found["einsum"] == [2 * 2 * 3 * 4 * 5, 2 * 7 * 2 * 3 * 4 * 5, 2 * 8 * 8 * 3 * 4]


def test_what_is_not_counted_is_named(found: dict[str, Any]) -> None:
    assert found["unknown"] == [None, ["MatrixInverse (1)"]]


def test_resnet_50_has_its_published_size(found: dict[str, Any]) -> None:
    flops, missed = found["ResNet50"]
    assert 7.7e9 < flops < 8.2e9 and missed == []
    assert found["ResNet50 parameters"] == [25_583_592, 25_636_712]


def test_parameters_of_the_transformers(found: dict[str, Any]) -> None:
    """A block: two norms, four projections with biases, an MLP of 64 to 256 to 64."""
    block = 2 * 128 + 4 * (64 * 64 + 64) + 64 * 256 + 256 + 256 * 64 + 64
    assert found["vit"][0] == 49 * 64 + 64 + 16 * 64 + 4 * block + 128 + 64 * 10 + 10 == 204_938
    assert found["causal parameters"][0] == 16 * 64 + 32 * 64 + 2 * block + 128 + 64 * 16 + 16 == 104_208


@pytest.mark.parametrize(("index", "said"), [
    (0, "the least is 32 x 32"), (1, "the least is 75 x 75"), (2, "takes images"), (3, "common divisor"),
    (4, "sequences of tokens"), (5, "Did you mean 'ResNet50'?")])
def test_what_a_model_refuses_is_said_with_the_least_size(found: dict[str, Any], index: int, said: str) -> None:
    assert said in found["refused"][index]


def test_applications_are_named_by_keras_and_get_the_pixels_they_expect(found: dict[str, Any]) -> None:
    count, listed = found["names"]
    assert count > 30 and listed
    assert found["pixels"] < 1e-5
