"""`batchscale predict RESULTS`: throughput, time and cost at replica counts that were not measured."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

from ....analysis.prediction.batches import batch_forecasts
from ....analysis.prediction.network import given_network
from ....analysis.prediction.replicas import forecasts, replica_counts
from ....analysis.prediction.text import text
from ....analysis.tables.reading import read
from ....benchmarks.errors import EXIT_OK
from ....benchmarks.records.json_files import cannot_write
from ....benchmarks.records.schema import finite
from ....benchmarks.records.store import open_store
from ..options import add_results


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's own arguments to its parser."""
    add_results(parser)
    parser.add_argument("--gpus", required=True, metavar="N,N,...", help="replica counts, such as 8,16,32")
    parser.add_argument("--network", action="append", default=[], metavar="ALPHA,BETA", help="seconds per message and "
                        "per byte of the link between replicas, such as 5e-6,8e-11: adds the cost of three all-reduce "
                        "algorithms; or a file with what nccl-tests or OSU printed of an all-reduce: adds a cost that "
                        "spans them all; twice: inside a node, and between nodes")
    parser.add_argument("--network-ranks", type=int, default=0, metavar="N", help="ranks of that file, where it does "
                        "not say them")
    parser.add_argument("--topology", type=int, default=0, metavar="N", help="replicas that share a node, such as 8, "
                        "where the runs do not say it: replicas of one node then say nothing of several by themselves")
    parser.add_argument("--price", type=float, help="per device-hour (default: the plan's)")
    parser.add_argument("--output", type=Path, help="also write the predictions here, as JSON")


def run(arguments: Namespace) -> int:
    """Print the predictions as a table, and write them as JSON to `--output`."""
    counts, network = replica_counts(arguments.gpus), given_network(arguments.network, arguments.network_ranks)
    results = read(open_store(arguments.results))
    by_replicas = forecasts(results, counts, network, arguments.price, per_node=arguments.topology)
    by_batch = batch_forecasts(results)
    print(text(by_replicas, network, by_batch))
    if arguments.output is not None:
        _write(arguments.output, {"forecasts": [one.to_json() for one in by_replicas],
                                  "largest_batches": [one.to_json() for one in by_batch]})
    return EXIT_OK


def _write(path: Path, predictions: dict[str, object]) -> None:
    try:
        path.write_text(json.dumps(finite(predictions), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise cannot_write(path, error, "another --output") from None
