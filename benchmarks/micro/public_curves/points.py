"""The public results that `batchscale where` compares with: made anew from their sources, and the page about them.

    python -m batchscale.benchmarks.micro.public_curves.points --mlperf LOGGING --curves CURVES.csv
    python -m batchscale.benchmarks.micro.public_curves.points --page docs/public-results.md

The first reads every rcps_*.json below a checkout of MLPerf's logging repository, of each benchmark the newest round,
fits its critical batch as a report does, takes the efficiencies of the curves, and writes what comes with the package;
the second draws the page from that.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from msgspec import json

from ....analysis.importers import imported_store
from ....analysis.laws.public.points import Efficiencies, FILE, PublicPoints, shipped, Source, Workload
from ....analysis.study.convergence import Convergence, convergences
from ....analysis.tables.reading import read
from ...errors import EXIT_OK
from .reading import Curve, curves_of

MLPERF, ADASCALE, MCCANDLISH, CURVES = "mlperf", "adascale", "mccandlish", "curves"
SOURCES = {
    MLPERF: Source(name="MLPerf Training's reference convergence points (mlcommons/logging)", licence="Apache-2.0"),
    ADASCALE: Source(name="Johnson et al. 2020 (AdaScale), table 2, fitted here", licence="facts of a paper"),
    MCCANDLISH: Source(name="McCandlish et al. 2018, An Empirical Model of Large-Batch Training",
                       licence="facts of a paper"),
    CURVES: Source(name="tf_cnn_benchmarks (lambdal/lambda-tensorflow-benchmark)", licence="BSD-3-Clause")}
PUBLISHED = (
    Workload(name="cifar10_resnet18", what="ResNet-18 on CIFAR-10", unit="examples", critical_batch=6130.0, low=5029.0,
             high=7473.0, points=5, batches=(128, 8192), source=ADASCALE),
    Workload(name="imagenet_resnet50", what="ResNet-50 on ImageNet, AdaScale", unit="examples",
             critical_batch=30717.0, low=24469.0, high=38561.0, points=5, batches=(256, 32768), source=ADASCALE),
    Workload(name="mnist", what="a small network on MNIST", unit="examples", critical_batch=200.0, source=MCCANDLISH),
    Workload(name="cifar10", what="a small network on CIFAR-10", unit="examples", critical_batch=900.0,
             source=MCCANDLISH))
# Names of MLPerf's benchmarks in words; of two names for one benchmark the newer.
WHAT = {"bert": "BERT-large, pre-training", "dlrm": "DLRM, recommendation", "dlrm_dcnv2": "DLRM-DCNv2, recommendation",
        "flux1": "FLUX.1, image generation", "gpt3": "GPT-3 175B", "gpt_oss_20b": "GPT-OSS 20B",
        "llama2_70b_lora": "Llama 2 70B, LoRA", "llama31_405b": "Llama 3.1 405B", "llama31_8b": "Llama 3.1 8B",
        "maskrcnn": "Mask R-CNN on COCO", "resnet": "ResNet-50 on ImageNet, LARS and SGD",
        "retinanet": "RetinaNet on OpenImages", "rgat": "R-GAT on IGBH", "rnnt": "RNN-T on LibriSpeech",
        "stable_diffusion": "Stable Diffusion v2", "unet3d": "3D U-Net on KiTS19"}
UNITS = {"bert": "sequences", "retinanet": "images"}
WIDEST = 20.0  # upper over lower end of an interval that still says something
SHARES = 41


def workloads_of(folder: Path) -> Iterator[Workload]:
    """Yield the benchmarks below a folder whose critical batch is known to within a factor of WIDEST."""
    newest: dict[str, Path] = {}
    for path in sorted(folder.rglob("rcps_*.json"), key=_round):
        newest[path.stem.removeprefix("rcps_")] = path
    for name, path in sorted(newest.items()):
        if name not in WHAT:
            continue
        with tempfile.TemporaryDirectory() as place:
            found, = convergences(read(imported_store.write(path, Path(place) / "results", "mlperf-rcp")))
        critical = found.critical_batch
        if critical.has_interval and critical.high <= WIDEST * critical.low:
            yield _workload(name, found, ".".join(map(str, _round(path))))


def _round(path: Path) -> tuple[int, ...]:
    """The round of a file, by its folder, such as training_6.0.0."""
    return tuple(int(part) for part in path.parent.name.rpartition("_")[2].split(".") if part.isdigit())


def _workload(name: str, found: Convergence, of: str) -> Workload:
    batches = [point.global_batch for point in found.points]
    critical = found.critical_batch
    return Workload(name=name, what=f"{WHAT[name]} (round {of})", unit=UNITS.get(name, found.example),
                    critical_batch=_figures(critical.value), low=_figures(critical.low), high=_figures(critical.high),
                    points=len(batches), batches=(min(batches), max(batches)), source=MLPERF,
                    beyond=not min(batches) <= critical.value <= max(batches))


def _figures(value: float) -> float:
    return float(f"{value:.4g}")


def efficiencies_of(curves: Sequence[Curve]) -> Iterator[Efficiencies]:
    """Yield the efficiencies on each number of GPUs beyond one, against one."""
    for count in sorted({count for curve in curves for count in curve.rates if count > 1}):
        values = [curve.rates[count] / (count * curve.rates[1]) for curve in curves if curve.has((1, count))]
        if values:
            yield Efficiencies(replicas=count, curves=len(values),
                               values=tuple(round(float(value), 4) for value in
                                            np.quantile(values, np.linspace(0, 1, SHARES))))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows))


def page(points: PublicPoints) -> str:
    """Return the page about the public results as Markdown."""
    rows = [(f"`{one.name}`", one.what, f"{one.critical_batch:,.0f}",
             "-" if one.low is None or one.high is None else f"{one.low:,.0f} to {one.high:,.0f}", one.unit,
             "-" if one.batches is None else f"{one.batches[0]:,} to {one.batches[1]:,}" + " (outside)" * one.beyond,
             points.sources[one.source].name) for one in sorted(points.workloads, key=lambda one: one.critical_batch)]
    shares = (0.1, 0.25, 0.5, 0.75, 0.9)
    curves = [(str(one.replicas), str(one.curves), *(f"{float(np.quantile(one.values, share)):.0%}".replace("%", " %")
                                                     for share in shares)) for one in points.efficiencies]
    sources = "\n".join(f"- {one.name}: {one.licence}" for one in points.sources.values())
    return f"""# Where a result stands in the world

    batchscale where results/mine

says which public workloads have a critical batch like yours, and how many public curves of GPUs scale worse. These are
the numbers it compares with. This page is drawn from what comes with the package
(`python -m batchscale.benchmarks.micro.public_curves.points --page docs/public-results.md`).

## Critical batches of public workloads

The batch at which twice the fewest steps are needed, by least squares on the logarithm of steps over batches, with its
95 % interval. Where it lies outside the batches that were trained, it is a bound more than a value.

{_table(("name", "workload", "critical batch", "95 % interval", "counted in", "batches trained", "source"), rows)}

What is counted matters: a sequence of a language model holds thousands of tokens, an image is one example.

## Efficiency of weak scaling over the GPUs of one machine

Shares of {points.curves_source}: so many of them are less efficient than the value.

{_table(("GPUs", "curves", "10 %", "25 %", "half", "75 %", "90 %"), curves)}

## Sources

{sources}
"""


def main(words: Sequence[str] | None = None) -> int:
    """Write the package's file from its sources, or the page from that file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mlperf", type=Path, help="a checkout of MLPerf's logging repository")
    parser.add_argument("--curves", type=Path, help="a CSV table of curves, one training a row")
    parser.add_argument("--page", type=Path, help="where the page goes")
    given = parser.parse_args(words)
    if given.mlperf and given.curves:
        curves = curves_of(given.curves)
        setups = len({curve.group for curve in curves})
        found = PublicPoints(sources=SOURCES, workloads=(*PUBLISHED, *workloads_of(given.mlperf)),
                             efficiencies=tuple(efficiencies_of(curves)),
                             curves_source=f"public curves of tf_cnn_benchmarks ({setups} sets of card and software)")
        FILE.write_bytes(json.format(json.encode(found), indent=1) + b"\n")
    if given.page:
        given.page.write_text(page(shipped()), encoding="utf-8")
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
