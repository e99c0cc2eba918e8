"""Many least-squares problems at once: the same answers as one by one by SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import nnls

from batchscale.analysis.laws.step.many_fits import fit_many
from batchscale.analysis.statistics.estimate import Floats


def test_each_of_many_linear_problems_has_the_answer_of_nnls() -> None:
    rng = np.random.default_rng(0)
    matrices, values = rng.normal(size=(40, 12, 4)), rng.normal(size=(40, 12))

    def problems(theta: Floats) -> tuple[Floats, Floats]:
        return np.einsum("pnk,pk->pn", matrices, theta) - values, matrices

    found = fit_many(problems, np.full((40, 4), 0.2), np.zeros((40, 4)))
    for theta, matrix, value in zip(found, matrices, values):
        expected, _ = nnls(matrix, value)
        assert np.allclose(theta, expected, atol=1e-6)
    assert np.any(found == 0) and np.all(found >= 0)


def test_a_curved_problem_reaches_its_bottom_and_an_unused_column_stays() -> None:
    x = np.linspace(0.1, 3, 20)
    truths = np.asarray([[1.0, 0.5, 7.0], [0.2, 2.0, 7.0]])

    def problems(theta: Floats) -> tuple[Floats, Floats]:
        curve = theta[:, :1] * np.exp(-theta[:, 1:2] * x)
        slopes = np.stack([curve / theta[:, :1], -x * curve, np.zeros_like(curve)], axis=2)
        return curve - truths[:, :1] * np.exp(-truths[:, 1:2] * x), slopes

    found = fit_many(problems, np.asarray([[0.5, 1.0, 7.0]] * 2), np.full((2, 3), 1e-9))
    assert found == pytest.approx(truths, rel=1e-6)
