"""A path's format by its content, and text as it really is: ends of lines, colours, gz, cut off, of many ranks."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.foreign_files import bring, GOOD, horovod_text, mllog_text, saved
from support.timing_files import nccl_text, osu_text, tf_cnn_text
from support.training_files import KERAS_3

from batchscale.analysis.importers import detection, imported_store, sources
from batchscale.analysis.importers.benchmarks.collectives import read_timed, said
from batchscale.analysis.importers.detection import detect
from batchscale.analysis.importers.registry import IMPORTERS
from batchscale.analysis.tables.reading import read
from batchscale.benchmarks.errors import EXIT_OK, EXIT_USAGE, RecordError
from batchscale.launchers import cli


@pytest.mark.parametrize("form", IMPORTERS)
def test_every_format_is_found_by_its_content_whatever_the_name(form: str, tmp_path: Path) -> None:
    path = GOOD[form](tmp_path / "sample")
    assert detect(path) == (form, [])
    if path.is_file() and form not in ("wandb", "tensorboard"):
        other = path.rename(path.with_name("x"))
        assert detect(other)[0] == form
        (tmp_path / "packed").write_bytes(gzip.compress(other.read_bytes()))
        assert form in ("mlflow",) or detect(tmp_path / "packed")[0] == form


def test_a_mark_far_behind_the_beginning_is_found(tmp_path: Path) -> None:
    path = saved(tmp_path, "a line of another program\n" * 20_000 + mllog_text(256, [4]), "job.txt")
    assert detect(path)[0] == "mllog"


def test_a_file_of_no_known_format_is_read_a_few_times_and_no_further_than_is_searched(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, "a line of another program\n" * 200_000 + mllog_text(256, [4]), "job.txt")
    monkeypatch.setattr(detection, "SEARCHED_BYTES", 4_000_000)
    chunks, seen = sources.Sources.chunks, list[int]()

    def counted(self: sources.Sources, of: Path, hint: str) -> Iterator[bytes]:
        for chunk in chunks(self, of, hint):
            seen.append(len(chunk))
            yield chunk
    monkeypatch.setattr(sources.Sources, "chunks", counted)
    with pytest.raises(RecordError, match="has no format that is known"):
        detect(path)
    assert 4_000_000 <= sum(seen) < 8_000_000  # two heads, and once what is searched, whatever formats there are


def test_a_folder_has_the_format_of_its_files_and_names_the_others(tmp_path: Path) -> None:
    saved(tmp_path / "all", horovod_text(2, [10.0, 11.0]), "a.txt")
    saved(tmp_path / "all", mllog_text(256, [4]), "b.txt")
    assert detect(tmp_path / "all") == ("mllog", [
        "a.txt and its like are horovod, not mllog, and were not read; import them on their own."])


def test_what_has_no_format_and_what_is_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="has no format that is known. The formats are mlperf-rcp, .*keras-log"):
        detect(saved(tmp_path, "nothing\n", "x.txt"))
    with pytest.raises(RecordError, match="is no file and no folder"):
        detect(tmp_path / "absent")


def test_the_command_says_which_format_it_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path, KERAS_3, "training.log")
    assert cli.main(["import", "training.log", "--set", "global_batch=64"]) == EXIT_OK
    assert "training.log is keras-log: " in capsys.readouterr().out
    assert cli.main(["import", "keras-log", "training.log", "--set", "global_batch=64"]) == EXIT_OK
    assert cli.main(["import", "keras_log", "training.log"]) == EXIT_USAGE
    assert "Did you mean 'keras-log'" in capsys.readouterr().err
    assert cli.main(["import", "keras-log"]) == EXIT_USAGE
    assert "names a format and no path" in capsys.readouterr().err


GERMAN = KERAS_3.replace(",", ";").replace(".", ",")
WRITTEN = {"CRLF": KERAS_3.replace("\n", "\r\n").encode(), "CR": KERAS_3.replace("\n", "\r").encode(),
           "BOM": b"\xef\xbb\xbf" + KERAS_3.encode(), "semicolons": GERMAN.encode(),
           "tabs": KERAS_3.replace(",", "\t").encode(), "colours": f"\x1b[32m{KERAS_3}\x1b[0m".encode(),
           "repeated header": (KERAS_3 + KERAS_3.partition("\n")[0] + "\n").encode(),
           "gz": gzip.compress(KERAS_3.encode()),
           "two gz in one": gzip.compress(KERAS_3[:60].encode()) + gzip.compress(KERAS_3[60:].encode()),
           "no last end of line": KERAS_3.rstrip().encode(), "empty lines": KERAS_3.replace("\n", "\n\n").encode()}


@pytest.mark.parametrize("way", WRITTEN)
def test_a_table_is_read_however_it_is_written(way: str, tmp_path: Path) -> None:
    path = tmp_path / "training.log"
    path.write_bytes(WRITTEN[way])
    assert detect(path)[0] == "keras-log"
    assert bring(path, "keras-log").evaluations["validation_loss"].tolist() == [0.28, 0.21, 0.25]


# Thousands of epochs, so that the end of the packed file is more than its last row.
LONG_LOG = "epoch,loss,val_loss\n" + "".join(f"{at},{1 / (at + 1)},{2 / (at + 1)}\n" for at in range(9000))


def test_a_row_or_a_gz_that_is_cut_off_leaves_the_rest_and_a_note(tmp_path: Path) -> None:
    for name, data in (("a.log", KERAS_3[:-12].encode()), ("b.log", gzip.compress(LONG_LOG.encode())[:-30])):
        (tmp_path / name).write_bytes(data)
    cut = imported_store.write(tmp_path / "a.log", tmp_path / "results", "keras-log")
    assert read(cut).evaluations["validation_loss"].tolist() == [0.28, 0.21]
    assert any("the last row is cut off" in note for note in imported_store.notes(cut.manifest))
    packed = imported_store.write(tmp_path / "b.log", tmp_path / "results", "keras-log")
    assert any("gz file that ends too early" in note for note in imported_store.notes(packed.manifest))


def test_of_several_ranks_the_first_is_read(tmp_path: Path) -> None:
    text = tf_cnn_text(2, 32, 200.0)
    for name, mark in (("mpi", "[1,{}]<stdout>:"), ("gloo", "[{}]<stdout>:"), ("srun", "{}: ")):
        lines = "".join(f"{mark.format(rank)}{line}\n" for line in text.splitlines() for rank in (1, 0))
        row = bring(saved(tmp_path / name, lines, f"{name}.log"), "tf-cnn-benchmarks").runs.iloc[0]
        assert (row["replicas"], row["global_batch"], row["examples_per_second"]) == (2, 64, 200)


def test_tf_cnn_benchmarks_launches_are_counted_and_changed_lines_refused(tmp_path: Path) -> None:
    for index, rate in enumerate((199.0, 201.0)):
        saved(tmp_path / "logs", tf_cnn_text(2, 32, rate), f"{index}.log")
    runs = bring(tmp_path / "logs", "tf-cnn-benchmarks").runs
    assert runs["launch"].tolist() == [0, 1] and runs["strategy"].tolist() == ["replicated"] * 2
    with pytest.raises(RecordError, match="32 per device on 2 devices are not 65 global"):
        bring(saved(tmp_path, tf_cnn_text(2, 32, 1.0).replace("64 global", "65 global"), "x.log"), "tf-cnn-benchmarks")
    with pytest.raises(RecordError, match="did not end"):
        bring(saved(tmp_path, tf_cnn_text(2, 32, 1.0).partition("total")[0], "y.log"), "tf-cnn-benchmarks")


# A ring of 16: 30 messages of 4 us, and 1.875 times the bytes at 300 GB/s.
RING = {size: 30 * 4e-6 + 1.875 * size / 300e9 for size in (8, 2**12, 2**20, 2**28, 2**33)}


@pytest.mark.parametrize("named", [True, False])
def test_nccl_tests_give_the_times_of_an_all_reduce(named: bool, tmp_path: Path) -> None:
    path = saved(tmp_path, nccl_text(RING, named=named), "nccl.txt")
    timed = read_timed(path)
    assert timed.ranks == 16 and timed.nodes == (2 if named else 0) and timed.per_node == (8 if named else 0)
    assert timed.at(2**28).value == pytest.approx(RING[2**28], rel=0.01)
    words = said(timed)
    assert f"all-reduce on 16 ranks{' of 2 nodes' if named else ', it does not say of how many nodes'}, 120 µs" in words
    assert "299 GB/s of bus bandwidth for 8,589,934,592" in words and "node-" not in words
    assert bring(path, "collectives").runs["step_seconds"].tolist() == pytest.approx(list(RING.values()), rel=1e-3)


def test_osu_does_not_say_its_ranks(tmp_path: Path) -> None:
    path = saved(tmp_path, osu_text(RING), "osu.txt")
    with pytest.raises(RecordError, match="--network-ranks 16"):
        read_timed(path)
    assert read_timed(path, 16).at(2**33).value == pytest.approx(RING[2**33], rel=0.01)
    runs = bring(path, "collectives", settings=["replicas=16"]).runs
    assert set(runs["replicas"]) == {16} and runs["kind"].tolist() == ["timing"] * 5


def test_unet3ds_epochs_are_epochs_and_berts_are_sequences(tmp_path: Path) -> None:
    for benchmark, batch, amount, size in (("unet3d", 56, 1148, 168), ("bert", 768, 2_400_000, 2_400_000)):
        text = mllog_text(batch, [amount], benchmark=benchmark, settings={"train_samples": size})
        saved(tmp_path / benchmark, text)
    row = bring(tmp_path / "unet3d", "mllog").runs.iloc[0]
    assert row["epochs_to_target"] == 1148 and row["steps_to_target"] == 1148 * 168 / 56
    row = bring(tmp_path / "bert", "mllog").runs.iloc[0]
    assert row["steps_to_target"] == 3125 and row["examples_to_target"] == 2_400_000


def test_a_long_log_is_read_in_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "CHUNK_BYTES", 2 ** 14)
    path = saved(tmp_path, "a line of another program that says nothing\n" * 50_000, "long.log")  # 2 MB
    tracemalloc.start()
    try:
        assert sum(1 for _ in sources.Sources(path).lines(path, "a log")) == 50_000
        assert tracemalloc.get_traced_memory()[1] < 400_000
    finally:
        tracemalloc.stop()
