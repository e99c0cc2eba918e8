"""Model FLOPs utilization."""

from __future__ import annotations

from .estimate import Estimate, unknown


def model_flops_utilization(flops_per_example: float | None, examples_per_second: Estimate,
                            replicas: int,
                            peak_flops_per_second: float | None) -> Estimate:
    """MFU = model FLOPs per example x examples/s / (R x peak FLOP/s of one device).

    A multiply-add counts 2, recomputation 0 (Chowdhery et al. 2022). NaN, so null, where the
    model's count or the device's peak is not known.
    """
    if not flops_per_example or not peak_flops_per_second:
        return unknown(examples_per_second.n)
    return examples_per_second.scaled(flops_per_example / (replicas * peak_flops_per_second))
