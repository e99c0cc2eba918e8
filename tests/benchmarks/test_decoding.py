"""Typed records out of JSON and TOML: what is taken, and the sentence that says what is wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta
from support.synthetic_records import record_for

from batchscale.benchmarks.decoding import Count, decoded, LARGEST_WHOLE, meanings, Number, table, TOML_WORDS, Whole
from batchscale.benchmarks.errors import PlanError, RecordError
from batchscale.benchmarks.records.schema import decode, problems, Record
from batchscale.benchmarks.runs.run_config import RunConfig


@dataclass(frozen=True)
class Place:
    node: str
    cores: Annotated[int, Meta(ge=1, le=64)] = 1


class Inner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    steps: Count
    seconds: Number | None = None


class Outer(msgspec.Struct, frozen=True, kw_only=True):
    name: Annotated[str, Meta(description="what it is called, a | b")]
    kind: Literal["short", "long"] = "short"
    parts: tuple[Inner, ...] = ()
    scores: dict[str, Number | None] = {}
    texts: dict[str, str] = {}
    curves: dict[str, tuple[Number, ...]] = {}
    place: Place | None = None
    offset: Annotated[Whole, Meta(description="where it begins")] = 0


def refused(value: object, kind: type[Any] = Outer, words: dict[str, str] | None = None) -> str:
    with pytest.raises(PlanError) as error:
        decoded(value, kind, PlanError, "x: ", *([words] if words else []))
    assert str(error.value).startswith("x: ")
    return str(error.value).removeprefix("x: ")


def test_what_is_right_is_taken_and_defaults_are_filled_in() -> None:
    found = decoded({"name": "a", "parts": [{"steps": 3, "seconds": 2}], "scores": {"x": None, "y": 0.5},
                     "place": {"node": "n1"}, "later": "ignored"}, Outer, PlanError)
    assert found == Outer(name="a", parts=(Inner(3, 2),), scores={"x": None, "y": 0.5}, place=Place("n1"))


@pytest.mark.parametrize(("value", "sentence"), [
    ({}, "name is missing (what it is called, a | b)."),
    ({"name": 5}, "name = 5 must be text."),
    ([1], "[1] is not an object."),
    ({"name": "a", "kind": "shrot"}, "kind='shrot' is not known; choose one of: long, short. Did you mean 'short'?"),
    ({"name": "a", "kind": 5}, "kind = 5 must be one of: long, short."),
    ({"name": "a", "parts": [{"steps": 1}, {"steps": -1}]},
     "parts[1].steps = -1 must be a whole number of at least 0."),
    ({"name": "a", "parts": [{"steps": True}]}, "parts[0].steps = True must be a whole number of at least 0."),
    ({"name": "a", "parts": [{}]}, "parts[0].steps is missing."),
    ({"name": "a", "parts": [{"steps": 1, "secons": 2}]},
     "parts[0]: key='secons' is not known; choose one of: seconds, steps. Did you mean 'seconds'?"),
    ({"name": "a", "parts": [{"steps": 1, "seconds": math.nan}]}, "parts[0].seconds = nan must be a number or null."),
    ({"name": "a", "parts": [{"steps": 1, "seconds": "2"}]}, "parts[0].seconds = '2' must be a number or null."),
    ({"name": "a", "parts": 7}, "parts = 7 must be a list."),
    ({"name": "a", "scores": {"good": 1, "bad": math.inf}}, "scores.bad = inf must be a number or null."),
    ({"name": "a", "scores": {"good": 1, "bad": "1"}}, "scores.bad = '1' must be a number or null."),
    ({"name": "a", "scores": {"good": 1, "bad": 10 ** 30}},
     "scores.bad = 1000000000000000000000000000000 must be a number or null."),
    ({"name": "a", "texts": {"good": "x", "bad": [1]}}, "texts.bad = [1] must be text."),
    ({"name": "a", "curves": {"good": [1], "bad": [1, "2"]}}, "curves.bad[1] = '2' must be a number."),
    ({"name": "a", "curves": {"good": [1], "bad": 5}}, "curves.bad = 5 must be a list of numbers."),
    ({"name": "a", "scores": []}, "scores = [] must be an object."),
    ({"name": "a", "place": {}}, "place.node is missing."),
    ({"name": "a", "place": {"node": "n", "cores": 65}}, "place.cores = 65 must be a whole number from 1 to 64."),
    ({"name": "a", "offset": LARGEST_WHOLE + 1}, f"offset = {LARGEST_WHOLE + 1} must be a whole number."),
], ids=lambda given: str(given)[:60])
def test_what_is_wrong_is_named_with_its_value_and_the_rule(value: object, sentence: str) -> None:
    assert refused(value) == sentence


def test_a_long_value_is_cut_in_the_sentence() -> None:
    assert len(refused({"name": ["x" * 10_000]})) < 100
    assert len(refused({"name": "a", "scores": {"k" * 10_000: "x" * 10_000}})) < 150


def test_a_file_format_has_its_own_words() -> None:
    assert refused({"name": 5}, words=TOML_WORDS) == "name = 5 must be text in quotes."
    assert refused(5, words=TOML_WORDS) == "5 is not a table of keys."


def test_of_very_many_keys_the_nearest_are_named() -> None:
    many = msgspec.defstruct("Many", [(f"column_{number}", int, 0) for number in range(99)], forbid_unknown_fields=True)
    assert refused({"colum_17": 1}, many).startswith("key='colum_17' is not known; it is one of 99, such as column_17,")


def test_fields_are_described_once() -> None:
    assert meanings(Outer)["name"] == "what it is called, a | b" and meanings(Outer)["offset"] == "where it begins"
    assert "| `name` | what it is called, a \\| b |  |\n" in table(Outer)
    assert "| `offset` | where it begins | may be absent |\n" in table(Outer)


def test_every_field_of_a_record_has_a_meaning() -> None:
    assert all(meanings(Record).values())


def a_record(**config: Any) -> dict[str, Any]:
    run = RunConfig(**{"experiment": "sgd", "kind": "accuracy", "dataset": "digits", "model": "mlp_128", "seed": 0,
                       "optimizer": "sgd", "global_batch": 64, "train_examples": 256, "epochs": 2, **config})
    return record_for(run)


def with_value(place: str, value: object) -> dict[str, Any]:
    """A good record but for one value, at a place like `evaluations.0.step`."""
    record = a_record()
    *outer, last = [int(part) if part.isdecimal() else part for part in place.split(".")]
    inside: Any = record
    for part in outer:
        inside = inside[part]
    inside[last] = value
    return record


@pytest.mark.parametrize(("place", "value", "sentence"), [
    ("status", "finished", "status='finished' is not known; choose one of: completed, diverged, out_of_memory"),
    ("attempt", "1", "attempt = '1' must be a whole number"),
    ("evaluations.1.step", 1.5, "evaluations[1].step = 1.5 must be a whole number"),
    ("evaluations.1.test_loss", math.nan, "evaluations[1].test_loss = nan must be a number or null"),
    ("evaluations.0.metrics", {"test_mean_squared_error": "low"},
     "evaluations[0].metrics.test_mean_squared_error = 'low' must be a number or null"),
    ("evaluations.1.phase", 1, "evaluations[1].phase = 1 is not among the 1 of its configuration"),
    ("evaluations.1.phase", -1, "evaluations[1].phase = -1 is not among the 1 of its configuration"),
    ("config.global_batch", 0, "config.global_batch = 0 must be greater than 0"),
    ("config.global_batch", "64", "config.global_batch = '64' must be a whole number"),
    ("config.accumulation", 0, "config.accumulation = 0 must be greater than 0"),
    ("config.momentum", math.nan, "config.momentum = nan must be a finite number that 64 bits hold"),
    ("config.epochs", 2 ** 70, f"config.epochs = {2 ** 70} must be a finite number that 64 bits hold"),
    ("config.noise_batches", [1, "8"], "config.noise_batches[1] = '8' must be a whole number"),
    ("memory", {}, "memory.baseline_bytes is missing"),
    ("memory", None, "memory = None must be an object"),
    ("workload.input_shape", [28, -1], "workload.input_shape[1] = -1 must be a whole number of at least 0"),
    ("warnings", "text", "warnings = 'text' must be a list of texts"),
    ("schema_version", 2, "schema_version='2' is not 1"),
], ids=lambda given: str(given)[:60])
def test_what_is_wrong_with_a_record_is_named(place: str, value: object, sentence: str) -> None:
    assert [found[:len(sentence)] for found in problems(with_value(place, value))] == [sentence]


def test_a_record_of_a_run_that_ran_out_of_memory_may_lack_its_sections() -> None:
    record = {**a_record(), "status": "out_of_memory", "workload": {}, "agreement": {}, "memory": {}, "timing": {}}
    assert problems(record) == [] and decode(record).memory is None
    assert problems({**record, "status": "completed"}) == ["workload.source is missing (what the data is, in one "
                                                           "sentence)"]


def test_keys_of_a_later_version_are_passed_over_and_those_that_an_earlier_one_lacked_have_their_defaults() -> None:
    record = a_record(accumulation=1)
    del record["config"]["accumulation"], record["evaluations"][0]["validation_loss"]
    record |= {"later": 1}
    record["config"]["later"] = record["evaluations"][0]["later"] = [1]
    found = decode(record)
    assert found.config.accumulation == 1 and found.evaluations[0].validation_loss is None


def test_several_numbers_that_are_wrong_are_all_named() -> None:
    record = with_value("config.global_batch", 0)
    record["config"]["replicas"] = -1
    with pytest.raises(RecordError, match="global_batch = 0 must be greater than 0; config.replicas = -1 must be"):
        decode(record)
