"""Many small least-squares problems of one kind at once: a step has dozens of forms, each a millisecond by itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...statistics.estimate import Floats

MOST_ROUNDS = 200
# Relative decrease of the squares below which a problem is solved.
SOLVED = 1e-13
FIRST_DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-3, 1e-12, 1e9
Problems = Callable[[Floats], tuple[Floats, Floats]]
"""Parameters float[problems, k] -> residuals float[problems, points] and derivatives float[problems, points, k]."""


def fit_many(problems: Problems, start: Floats, lowest: Floats) -> Floats:
    """Return the parameters, float[problems, k], with the least squares at `lowest` or above, from `start`.

    Levenberg and Marquardt's method, each problem with its own damping; a parameter at its bound whose slope points
    out of it rests (projected as by Kanzow, Yamashita and Fukushima 2004). A column of zeros keeps its start.
    """
    theta = np.maximum(start, lowest)
    residuals, slopes = problems(theta)
    squares = np.einsum("pn,pn->p", residuals, residuals)
    damping, active = np.full(len(theta), FIRST_DAMPING), np.ones(len(theta), dtype=bool)
    for _ in range(MOST_ROUNDS):
        tried = np.maximum(theta + _step(theta, lowest, residuals, slopes, damping), lowest)
        new_residuals, new_slopes = problems(tried)
        new_squares = np.einsum("pn,pn->p", new_residuals, new_residuals)
        better = active & (new_squares <= squares)
        active &= ~(better & (squares - new_squares <= SOLVED * squares)) & (damping < MOST_DAMPING)
        theta = np.where(better[:, None], tried, theta)
        residuals = np.where(better[:, None], new_residuals, residuals)
        slopes = np.where(better[:, None, None], new_slopes, slopes)
        squares = np.where(better, new_squares, squares)
        damping = np.maximum(np.where(better, damping / 5, damping * 4), LEAST_DAMPING)
        if not active.any():
            break
    return np.asarray(theta)


def _step(theta: Floats, lowest: Floats, residuals: Floats, slopes: Floats, damping: Floats) -> Floats:
    gradient = np.einsum("pnk,pn->pk", slopes, residuals)
    squares = np.einsum("pnk,pnl->pkl", slopes, slopes)
    sizes = np.einsum("pkk->pk", squares)
    free = (sizes > 0) & ~((theta <= lowest) & (gradient > 0))
    kept = squares * (free[:, :, None] & free[:, None, :])
    eye = np.eye(theta.shape[1])
    kept = kept + eye * np.where(free, sizes * damping[:, None], 1.0)[:, :, None]
    return np.asarray(np.linalg.solve(kept, -(gradient * free)[:, :, None])[:, :, 0])
