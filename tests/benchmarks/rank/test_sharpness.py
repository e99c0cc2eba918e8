"""Sharpness of softmax regression against its exact Hessian, and that measuring it leaves the run as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from support.rank_servers import launched_once

from batchscale.benchmarks.config.strategies import variants

pytestmark = pytest.mark.launched
# The others are slow: equal_weights has them.
STRATEGIES = [pytest.param(name, marks=[pytest.mark.slow] * (name != "single")) for name in variants()]
REGRESSIONS = ("small_models:softmax float32", "small_models:softmax float64")
Floats = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    return launched_once(tmp_path_factory, "sharpness")


def found(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "sharpness.json").read_text()))


class Exact:
    """Softmax regression in float64: mean cross-entropy L(w), its gradient and its whole Hessian."""

    def __init__(self, path: Path) -> None:
        saved = np.load(path)
        x = np.asarray(saved["x"], np.float64).reshape(len(saved["y"]), -1)
        self.x = np.hstack([x, np.ones((len(x), 1))])  # the bias is one more input
        self.onehot = np.eye(10)[saved["y"]]
        self.weights = np.vstack([saved["w"], saved["b"][None]]).astype(np.float64)

    def softmax(self, weights: Floats) -> Floats:
        logits = self.x @ weights
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(p / p.sum(axis=1, keepdims=True))

    def loss(self, weights: Floats) -> float:
        return float(-np.mean(np.log(np.sum(self.softmax(weights) * self.onehot, axis=1))))

    def gradient(self) -> Floats:
        return np.asarray(self.x.T @ (self.softmax(self.weights) - self.onehot) / len(self.x))

    def hessian(self) -> Floats:
        """mean of (x x^T) kron (diag p - p p^T), float64[650, 650]."""
        p = self.softmax(self.weights)
        inner = np.einsum("nc,cd->ncd", p, np.eye(10)) - np.einsum("nc,nd->ncd", p, p)
        size = self.weights.size
        return np.asarray(np.einsum("ni,nj,ncd->icjd", self.x, self.x, inner, optimize=True)
                          .reshape(size, size) / len(p))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("case", REGRESSIONS)
def test_the_top_eigenvalue_is_that_of_the_exact_hessian(folder_of: Callable[[str], Path], strategy: str,
                                                         case: str) -> None:
    row = found(folder_of(strategy))[case]["row"]
    exact = float(np.linalg.eigvalsh(Exact(folder_of(strategy) / f"{case.split()[1]}.npz").hessian())[-1])
    assert row["converged"] and row["products"] < 100 and row["examples"] == 1000
    assert row["eigenvalue"] == pytest.approx(exact, rel=3e-2), "it stops at a relative change of 1e-3, a little low"
    assert row["eigenvalue"] <= exact * (1 + 1e-5), "a Rayleigh quotient is never above it"


def by_hand(hessian: Floats) -> tuple[float, int]:
    """Power iteration on the exact Hessian from the same direction: the quotient where it changes by 0.1 %."""
    random, last = np.random.default_rng(0), np.inf
    vector = np.concatenate([random.standard_normal((64, 10)), random.standard_normal((1, 10))]).ravel()
    for count in range(1, 101):
        vector /= np.linalg.norm(vector)
        moved = hessian @ vector
        value = float(vector @ moved)
        if abs(value - last) <= 1e-3 * abs(value):
            break
        vector, last = moved, value
    return value, count


@pytest.mark.parametrize("case", REGRESSIONS)
def test_products_with_the_hessian_are_exact(folder_of: Callable[[str], Path], case: str) -> None:
    row = found(folder_of("single"))[case]["row"]
    expected, products = by_hand(Exact(folder_of("single") / f"{case.split()[1]}.npz").hessian())
    assert row["eigenvalue"] == pytest.approx(expected, rel=1e-4)
    assert row["products"] == products


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("case", REGRESSIONS)
def test_sam_sharpness_is_the_exact_rise_of_the_loss(folder_of: Callable[[str], Path], strategy: str,
                                                     case: str) -> None:
    row = found(folder_of(strategy))[case]["row"]
    exact = Exact(folder_of(strategy) / f"{case.split()[1]}.npz")
    gradient, loss = exact.gradient(), exact.loss(exact.weights)
    norm = float(np.linalg.norm(gradient))
    rise = exact.loss(exact.weights + 0.05 * gradient / norm) - loss
    assert row["loss"] == pytest.approx(loss, rel=1e-5)
    assert row["gradient_norm"] == pytest.approx(norm, rel=1e-4)
    assert row["sam_sharpness"] == pytest.approx(rise, rel=1e-3)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("case", [*REGRESSIONS, "small_models:normalized float32"])
def test_measuring_touches_no_weight_and_gives_the_same_again(folder_of: Callable[[str], Path], strategy: str,
                                                              case: str) -> None:
    ran = found(folder_of(strategy))[case]
    assert ran["untouched"]
    assert ran["again"] == pytest.approx(ran["row"], rel=1e-5)
    assert ran["row"]["eigenvalue"] > 0 and ran["row"]["sam_sharpness"] > 0


def test_power_iteration_finds_the_eigenvalue_largest_in_size_and_says_when_it_did_not() -> None:
    random = np.random.default_rng(1)
    turned = np.linalg.qr(random.standard_normal((6, 6)))[0]
    spectra = ([1, 2, 3, 4, 5, 9], [1, 2, 3, 4, 5, -9], [0] * 6)
    matrices = [(turned * np.array(s)) @ turned.T for s in spectra]
    opposed = np.diag([2.0, -2.0, 1.0, 0.5, 0.1, 0.0])  # the quotient stays where it is: between 2 and -2
    largest, negative, flat, between = (power_iteration(matrix) for matrix in (*matrices, opposed))
    assert largest[0] == pytest.approx(np.linalg.eigvalsh(matrices[0])[-1], rel=1e-3) and largest[2]
    assert negative[0] == pytest.approx(-9, rel=1e-3) and negative[2]
    assert list(flat) == [0.0, 1, True]
    assert abs(between[0]) < 2


def power_iteration(matrix: Floats) -> Any:
    """Eigenvalue, products and whether it converged, in float32."""
    import tensorflow as tf

    from batchscale.benchmarks.rank.meters.sharpness import top_eigenvalue
    h = tf.constant(matrix, tf.float32)
    return top_eigenvalue(lambda v: [tf.linalg.matvec(h, v[0])], [tf.zeros(len(matrix))])
