"""What it costs to import a log of hundreds of MB: seconds, the processor's seconds and memory, one kind after another.

    PYTHONPATH=tests python -m soak.large_logs --megabytes 500

Each kind is a good file with as much between its beginning and its end as such a log has: lines of every step, and the
chatter of others. It is written to --folder first, which is not counted, imported in a process of its own, and deleted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from support.foreign_files import event, HOROVOD_NOISE, horovod_text, mllog_text
from support.timing_files import tf_cnn_text

Lines = Callable[[], Iterator[str]]
BLOCK = 10_000  # lines, which are written over and over
NOTE = "x" * 270  # what fills a table with as many rows as are read of one training


def _before_the_end(whole: str, last: str, lines: Lines) -> tuple[str, Lines, str]:
    """A good file, with lines in front of the last that begins so."""
    start, mark, end = whole.rpartition(last)
    return start, lines, mark + end


def _mllog() -> Iterator[str]:
    for step in range(BLOCK):
        yield f"epoch 1: loss {step}" if step % 2 else event("tracked_stats", {"throughput": 1234.5}, 2000 + step)


def _tf_cnn() -> Iterator[str]:
    for step in range(BLOCK):
        yield f"{step}\timages/sec: {3740 + step % 9}.1 +/- 0.5 (jitter = 2.4)\t{7 + step % 3}.608"


def _dllogger() -> Iterator[str]:
    for step in range(BLOCK):
        yield "DLLL " + json.dumps({"timestamp": "1586959030.1", "elapsedtime": "1.2", "datetime": "2020-04-15", "type":
                                    "LOG", "step": [0, step], "data": {"train.total_ips": 400.5 + step % 7}})


def _horovod() -> Iterator[str]:
    for step in range(BLOCK):
        yield HOROVOD_NOISE.rstrip() if step % 3 else f"[1,{step % 8}]<stdout>:Running benchmark..."


def _table(names: str, row: Callable[[int], str]) -> tuple[str, Lines, str]:
    """A table with a column of text: 500 MB of numbers alone are more values than are read of one training."""
    return f"{names},note\n", lambda: (f"{row(index)},{NOTE}" for index in range(10 ** 9)), ""


KINDS: dict[str, Callable[[], tuple[str, Lines, str]]] = {
    "mllog": lambda: _before_the_end(mllog_text(256, [4, 8, 12]), ":::MLLOG", _mllog),
    "tf-cnn-benchmarks": lambda: _before_the_end(tf_cnn_text(2, 448, 3744.75), "total images/sec", _tf_cnn),
    "dllogger": lambda: ("", _dllogger, ""),
    "horovod": lambda: _before_the_end(horovod_text(4, [100.0, 110.0, 90.5]), "[1,0]<stdout>:Total img/sec", _horovod),
    "keras-log": lambda: _table("epoch,accuracy,loss,val_accuracy,val_loss",
                                lambda index: f"{index},0.91234,0.31234,0.90123,0.33456"),
    "lightning": lambda: _table("epoch,step,train_loss,val_loss",
                                lambda index: f"{index // 100},{index},0.31234,0.33456")}
SET = {"dllogger": ("--set", "global_batch=256", "--set", "replicas=8")}


def written(path: Path, kind: str, size: int) -> int:
    """Write a log of about so many bytes; return how many lines it has."""
    start, lines, end = KINDS[kind]()
    count = 0
    with open(path, "w", encoding="utf-8") as file:
        file.write(start)
        endless = kind not in ("keras-log", "lightning")
        block = list(lines()) if endless else []
        text = "".join(f"{line}\n" for line in block)
        while endless and file.tell() < size:
            file.write(text)
            count += len(block)
        for line in () if endless else lines():
            file.write(f"{line}\n")
            count += 1
            if count % 1000 == 0 and file.tell() >= size:
                break
        file.write(end)
    return count


def imported(path: Path, kind: str) -> tuple[float, float, int, int]:
    """Seconds, the processor's seconds, peak bytes and exit code of an import, in a process of its own."""
    words = [sys.executable, "-m", "batchscale.launchers.cli", "import", kind, str(path), *SET.get(kind, ()),
             "--to", str(path.parent / "results")]
    began = time.perf_counter()
    child = os.posix_spawn(sys.executable, words, os.environ, file_actions=[
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
    _, status, used = os.wait4(child, 0)
    return (time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024,
            os.waitstatus_to_exitcode(status))


def main() -> int:
    """Print one line for each kind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--kind", choices=KINDS, action="append", help="default: all")
    parser.add_argument("--folder", type=Path, help="where the logs are written (a temporary folder)")
    asked = parser.parse_args()
    print(f"{'kind':<18} {'MB':>5} {'lines':>11} {'seconds':>8} {'CPU seconds':>12} {'peak MB':>8} {'exit':>4}",
          flush=True)
    wrong = 0
    for kind in asked.kind or KINDS:
        with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
            path = Path(folder) / "large.log"
            lines = written(path, kind, asked.megabytes * 10 ** 6)
            wall, processor, peak, code = imported(path, kind)
            print(f"{kind:<18} {path.stat().st_size / 1e6:5.0f} {lines:11,} {wall:8.1f} {processor:12.1f} "
                  f"{peak / 1e6:8.0f} {code:4}", flush=True)
            wrong += code != 0
    return min(1, wrong)


if __name__ == "__main__":
    sys.exit(main())
