"""Model FLOPs utilisation: the share of what a GPU could multiply and add that the model's own operations take.

    MFU = 3 F r / (G P)

F: operations of a forward pass over one example, 2 per multiply-add, as the workload's description counts them. The
backward pass takes twice as many, for the gradients of a layer's inputs and of its weights; what is computed again to
save memory counts for nothing (Chowdhery et al. 2022, arXiv:2204.02311, appendix B). r: examples per second; G: GPUs;
P: the card's peak rate in the arithmetic of the products, without sparsity.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

OF_TRAINING = 3  # passes of a forward's operations
FLOAT64, FLOAT32, TF32, FLOAT16, BFLOAT16 = "float64", "float32", "TF32", "float16", "bfloat16"
PRODUCTS = {"float64": FLOAT64, "mixed_float16": FLOAT16, "mixed_bfloat16": BFLOAT16}
MAKERS = re.compile(r"^(NVIDIA|Tesla) ")


@dataclass(frozen=True)
class Card:
    """Peak rates of a GPU in TFLOP/s by the arithmetic of its products, dense; `names`: what its driver calls it."""

    names: str
    teraflops: Mapping[str, float]
    source: str


def _rates(double: float, single: float, tf32: float, half: float, brain: bool = True) -> dict[str, float]:
    """What a datasheet gives; 0 stands for what it does not."""
    given = {FLOAT64: double, FLOAT32: single, TF32: tf32, FLOAT16: half, BFLOAT16: half if brain else 0.0}
    return {name: rate for name, rate in given.items() if rate}


_V100, _A100, _H100 = ("NVIDIA V100 Tensor Core GPU datasheet", "NVIDIA A100 Tensor Core GPU datasheet",
                       "NVIDIA H100 Tensor Core GPU architecture, table of peak rates")
# With tensor cores where there are some. Datasheets of Ada and Hopper give rates with sparsity, twice these.
CARDS = (
    Card(r"V100-SXM2-(16|32)GB", _rates(7.8, 15.7, 0, 125, brain=False), _V100),
    Card(r"V100-PCIE-(16|32)GB", _rates(7, 14, 0, 112, brain=False), _V100),
    Card(r"T4", _rates(0, 8.1, 0, 65, brain=False), "NVIDIA T4 Tensor Core GPU datasheet"),
    Card(r"A100[- ](SXM4-(40|80)GB|PCIE-40GB|80GB PCIe)", _rates(19.5, 19.5, 156, 312), _A100),
    Card(r"A30", _rates(10.3, 10.3, 82, 165), "NVIDIA A30 Tensor Core GPU datasheet"),
    Card(r"A10", _rates(0, 31.2, 62.5, 125), "NVIDIA A10 Tensor Core GPU datasheet"),
    Card(r"A40", _rates(0, 37.4, 74.8, 149.7), "NVIDIA A40 datasheet"),
    Card(r"L4", _rates(0, 30.3, 60, 121), "NVIDIA L4 Tensor Core GPU datasheet"),
    Card(r"L40S", _rates(0, 91.6, 183, 362.05), "NVIDIA L40S datasheet"),
    Card(r"H100 80GB HBM3", _rates(66.9, 66.9, 494.7, 989.4), _H100),
    Card(r"H100 PCIe", _rates(51.2, 51.2, 378, 756), _H100),
    Card(r"H200", _rates(66.9, 66.9, 494.7, 989.4), "NVIDIA H200 Tensor Core GPU datasheet"),
)


def card(name: str) -> Card | None:
    """Return the card that a driver calls so; None for one that is not known, or that is a slice of one."""
    return next((one for one in CARDS if re.fullmatch(one.names, MAKERS.sub("", name))), None)


def products(precision: str, tf32: str) -> str:
    """Return the arithmetic of the products at a run's precision; "" where it is not told whether float32 was rounded.
    tf32: yes, no or ""."""
    return {"yes": TF32, "no": FLOAT32}.get(tf32, "") if precision == "float32" else PRODUCTS.get(precision, "")


def peak_flops(name: str, arithmetic: str) -> float:
    """Return the peak rate of a GPU in an arithmetic, in operations per second; NaN where it is not known."""
    found = card(name)
    return 1e12 * found.teraflops.get(arithmetic, math.nan) if found else math.nan


def utilization(forward_flops: float, examples_per_second: float, gpus: int, peak: float) -> float:
    """Return the model FLOPs utilisation, a share; NaN where a number is not known.

    forward_flops: of one example. peak: of one GPU, in operations per second.
    """
    return OF_TRAINING * forward_flops * examples_per_second / (gpus * peak) if peak > 0 else math.nan
