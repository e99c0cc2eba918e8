"""Examples streamed from memory: the right ones, in chunks of one length, from one pipeline for all calls."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from support.launching import environment

pytestmark = pytest.mark.launched

PROGRAM = """
import json
import numpy as np
import tensorflow as tf
from batchscale.benchmarks import data
from batchscale.benchmarks.runs.run_config import RunConfig
from batchscale.benchmarks.rank.evaluation import memory as evaluation
from batchscale.benchmarks.rank.feeds import stream
from batchscale.benchmarks.rank.strategies.base import Strategy
from batchscale.benchmarks.rank.strategies.mirrored import Mirrored
from batchscale.benchmarks.rank.training.program import Program

class Second(Strategy):
    rank, size, replicas = 1, 2, 2

tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0],
                                           [tf.config.LogicalDeviceConfiguration()] * 2)
stream.CHUNK_BYTES = 4 * 8 * 4  # four steps of eight floats
examples, batch = 50, 8
x = np.arange(examples, dtype=np.float32)
y = np.arange(examples, dtype=np.int32)
found = {}
for name, strategy in (("whole", Strategy()), ("second", Second())):
    own = stream.Stream(x, y, strategy)
    orders = [np.random.default_rng(n).permutation(examples).astype(np.int32) for n in (0, 1)]
    started = []
    chunks = own._chunks
    own._chunks = lambda start, size: started.append(start) or chunks(start, size)
    stride, rows = own.layout(batch).stride, own.layout(batch).rows
    seen, lengths = [], set()
    for order, base, calls in ((orders[0], 0, ((0, 1), (1, 3), (3, 6))), (orders[1], 6, ((6, 7), (7, 12)))):
        own.set_order(order, base)
        own.set_order(order.copy(), base)
        for start, stop in calls:
            for px, py, positions, first, last, at in own.parts(start, stop, batch):
                lengths.add(len(px))
                for k in range(first, last):
                    row = (k - at) % rows
                    chosen = positions.numpy()[row * stride:(row + 1) * stride]
                    seen.append(px.numpy()[chosen].tolist())
                    assert py.numpy()[chosen].tolist() == seen[-1]
    found[name] = {"seen": seen, "lengths": sorted(lengths), "started": started,
                   "orders": [order.tolist() for order in orders]}
evaluation.CHUNK, evaluation.PIECE_BYTES = 100, 250 * 64 * 4  # digits are 64 floats: two chunks to a piece
config = RunConfig(experiment="x", kind="accuracy", dataset="digits", model="mlp_128", optimizer="sgd",
                   global_batch=64, train_examples=1437, seed=0, epochs=1)
split = data.split(data.load("digits"), 0.2, 500)
program = Program(config, Strategy(), split.input_shape, split.classes)
program.reset(0)
parts = {"train": split.train_subset, "validation": split.validation, "test": split.test}
found["evaluations"] = [kind(parts, Strategy()).metrics(program)
                        for kind in (evaluation.Evaluation, evaluation.StreamedEvaluation)]
found["pieces"] = [[piece.start, piece.stop] for piece in evaluation.pieces(500, 500 * 64 * 4)]
mirrored = Mirrored(["CPU:0", "CPU:1"])
placed = mirrored._strategy.experimental_local_results(mirrored.place(np.arange(3.0)))
here = Mirrored._on("CPU:1", tf.identity(np.arange(3.0)))
found["from the host"] = here.device.rpartition("device:")[2] + " " + str(here.numpy().tolist())
found["devices"] = [copy.device.rpartition(":")[2] for copy in placed]
two_steps = mirrored.place_shares({"x": tf.constant(np.arange(16.0).reshape(8, 2))}, 2)
found["shares"] = [copy.numpy().tolist() for copy in mirrored._strategy.experimental_local_results(two_steps["x"])]
from batchscale.benchmarks.rank.feeds.in_memory import free_bytes
found["free"] = [free_bytes(1, 1000), free_bytes(2) > 2e6]
print("FOUND" + json.dumps(found))
"""


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=240,
                          env=environment())
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout.partition("FOUND")[2]))


@pytest.mark.parametrize(("name", "part"), [("whole", slice(0, 8)), ("second", slice(4, 8))])
def test_every_step_has_its_examples_whatever_the_calls(found: dict[str, Any], name: str, part: slice) -> None:
    first, second = found[name]["orders"]
    expected = [first[k * 8:(k + 1) * 8][part] for k in range(6)] + [second[k * 8:(k + 1) * 8][part] for k in range(6)]
    assert np.asarray(found[name]["seen"]).tolist() == np.asarray(expected).tolist()


@pytest.mark.parametrize("name", ["whole", "second"])
def test_chunks_have_one_length_and_the_pipeline_starts_once_an_order(found: dict[str, Any], name: str) -> None:
    assert len(found[name]["lengths"]) == 1
    assert found[name]["started"] == [0, 6]


def test_each_replica_of_mirrored_has_its_copy_on_its_own_device(found: dict[str, Any]) -> None:
    assert found["devices"] == ["0", "1"]


def test_a_replica_of_mirrored_is_sent_its_share_of_every_step_and_no_other_s(found: dict[str, Any]) -> None:
    assert found["shares"] == [[[0, 1], [2, 3], [8, 9], [10, 11]], [[4, 5], [6, 7], [12, 13], [14, 15]]]


def test_a_run_s_memory_limit_is_all_that_resident_examples_may_count_on(found: dict[str, Any]) -> None:
    assert found["free"] == [1000, True]


def test_what_tf_data_left_on_the_host_is_put_on_the_device(found: dict[str, Any]) -> None:
    assert found["from the host"] == "CPU:1 [0.0, 1.0, 2.0]"


def test_examples_that_do_not_fit_on_the_device_are_evaluated_piece_by_piece(found: dict[str, Any]) -> None:
    whole, streamed = found["evaluations"]
    assert found["pieces"] == [[0, 200], [200, 400], [400, 600]]
    assert whole == pytest.approx(streamed, rel=1e-12) and len(whole) == 6
