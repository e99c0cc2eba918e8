"""Model FLOPs utilisation: the formula, the cards' names as their driver writes them, and what is not known."""

from __future__ import annotations

import math

import pytest

from batchscale.analysis.laws.utilization import CARDS, card, peak_flops, products, utilization


def test_a_card_that_trains_at_its_peak_is_used_in_full() -> None:
    forward, peak = 4e9, 312e12
    assert utilization(forward, peak / (3 * forward), 1, peak) == pytest.approx(1.0)
    assert utilization(forward, peak / (3 * forward), 8, peak) == pytest.approx(1 / 8)


@pytest.mark.parametrize(("name", "arithmetic", "teraflops"), [
    ("NVIDIA H100 80GB HBM3", "bfloat16", 989.4), ("NVIDIA H100 PCIe", "TF32", 378), ("NVIDIA H200", "float16", 989.4),
    ("NVIDIA A100-SXM4-80GB", "TF32", 156), ("NVIDIA A100-PCIE-40GB", "float64", 19.5),
    ("NVIDIA A100 80GB PCIe", "float32", 19.5), ("Tesla V100-SXM2-16GB", "float16", 125),
    ("Tesla V100-PCIE-32GB", "float32", 14), ("Tesla T4", "float16", 65), ("NVIDIA L4", "bfloat16", 121),
    ("NVIDIA L40S", "TF32", 183)])
def test_a_card_is_known_by_its_drivers_name_and_has_a_rate_for_each_arithmetic(name: str, arithmetic: str,
                                                                                teraflops: float) -> None:
    assert peak_flops(name, arithmetic) == teraflops * 1e12


@pytest.mark.parametrize("name", ["", "NVIDIA H100 NVL", "NVIDIA H100 80GB HBM3 MIG 1g.10gb", "NVIDIA A100-SXM-64GB",
                                  "NVIDIA A10G", "NVIDIA L40", "Pretended H100", "NVIDIA B200"])
def test_of_a_card_that_is_not_known_no_figure_is_made_up(name: str) -> None:
    assert card(name) is None and math.isnan(utilization(1e9, 1e3, 1, peak_flops(name, "TF32")))


def test_an_arithmetic_that_a_card_lacks_has_no_peak() -> None:
    assert math.isnan(peak_flops("Tesla V100-SXM2-16GB", "TF32")) and math.isnan(peak_flops("Tesla T4", "bfloat16"))
    assert math.isnan(peak_flops("NVIDIA A100-SXM4-40GB", ""))


@pytest.mark.parametrize(("precision", "tf32", "found"), [
    ("float32", "yes", "TF32"), ("float32", "no", "float32"), ("float32", "", ""), ("float64", "", "float64"),
    ("mixed_float16", "", "float16"), ("mixed_bfloat16", "", "bfloat16"), ("fp8", "", "")])
def test_the_arithmetic_of_products_follows_from_precision_and_what_the_gpu_did(precision: str, tf32: str,
                                                                                found: str) -> None:
    assert products(precision, tf32) == found


def test_every_card_has_a_source_and_tensor_cores_are_no_slower_than_the_rest() -> None:
    for one in CARDS:
        assert one.source and one.teraflops["float16"] >= one.teraflops.get("TF32", 0) >= 0
        assert one.teraflops["float32"] <= one.teraflops["float16"]
