"""The formats that can be imported, by name. Without imports of its own: the command line asks it at every start."""

from __future__ import annotations

FORMATS = {
    "mlperf-rcp": "MLPerf's reference convergence points, rcps_*.json",
    "mllog": "MLPerf training logs with :::MLLOG lines, one file or a folder of result_*.txt",
    "horovod": "the text of Horovod's synthetic benchmarks, one file or a folder of them",
    "dawnbench": "a DAWNBench entry's TSV with its JSON beside it, or a folder of entries",
    "batch-science": "a folder of Shallue et al.'s measurements, with study.json and TRIAL/measurements.csv",
    "pytest-benchmark": "a file that pytest wrote with --benchmark-json",
    "csv": "a table with the columns of results.csv, one run a row",
}
