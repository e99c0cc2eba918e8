"""Examples streamed from memory: the right ones, in chunks of one length, from one pipeline for all calls."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from support.rank_servers import launched_once

pytestmark = pytest.mark.launched


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a process with two devices found."""
    return dict(json.loads((launched_once(tmp_path_factory, "streamed")("mirrored") / "found.json").read_text()))


@pytest.mark.parametrize(("name", "part"), [("whole", slice(0, 8)), ("second", slice(4, 8)), ("ahead", slice(0, 8))])
def test_every_step_has_its_examples_whatever_the_calls(found: dict[str, Any], name: str, part: slice) -> None:
    first, second = found[name]["orders"]
    expected = [first[k * 8:(k + 1) * 8][part] for k in range(6)] + [second[k * 8:(k + 1) * 8][part] for k in range(6)]
    assert np.asarray(found[name]["seen"]).tolist() == np.asarray(expected).tolist()


@pytest.mark.parametrize("name", ["whole", "second", "ahead"])
def test_chunks_have_one_length_and_the_pipeline_starts_once_an_order(found: dict[str, Any], name: str) -> None:
    assert len(found[name]["lengths"]) == 1
    assert found[name]["started"] == [0, 6]


def test_beside_gpus_the_next_chunk_is_on_its_way_before_the_steps_of_this_one_begin(found: dict[str, Any]) -> None:
    """A copy that is asked for after a step waits for its end, and the next step for the copy."""
    assert found["whole"]["sent"] == [1, 2, 3, 4] and found["ahead"]["sent"] == [2, 3, 5, 6]


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
