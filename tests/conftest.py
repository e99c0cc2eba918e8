"""What all tests share: a configuration, an order by chance, a lock of their own."""

from __future__ import annotations

import gc
import os
import random
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support import starts

from batchscale.benchmarks.runs.run_config import RunConfig

LOCKS = tempfile.TemporaryDirectory()  # a study that runs on this machine does not hold up the tests
os.environ["BATCHSCALE_LOCK"] = f"{LOCKS.name}/lock"
IN_PROCESS = re.compile(r"^ +import (tensorflow|keras)", re.MULTILINE)
ROOT = Path(__file__).resolve().parents[1]
CONFIG: dict[str, Any] = {
    "experiment": "sgd", "kind": "accuracy", "dataset": "digits", "model": "mlp_128", "optimizer": "sgd",
    "global_batch": 128, "train_examples": 1146, "seed": 0, "epochs": 2}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--order-seed", type=int, metavar="SEED", help="files and the tests of each in a random order")
    parser.addoption("--most-starts", type=int, metavar="N", help="fail where TensorFlow starts more often")


def pytest_configure(config: pytest.Config) -> None:
    starts.begin(os.environ.get("PYTEST_XDIST_WORKER", "main"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Rank groups end with the session, not at the interpreter's end, which a process of several testing at once may
    not live to see. Starts of TensorFlow are what makes the tests slow; a bound keeps them from creeping back."""
    if (servers := sys.modules.get("support.rank_servers")) is not None:
        servers.end_all()
    most = session.config.getoption("--most-starts")
    if most is not None and "PYTEST_XDIST_WORKER" not in os.environ and starts.total() > most:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    most = config.getoption("--most-starts")
    terminalreporter.write_line(f"TensorFlow was started {starts.total()} times"
                                + ("" if most is None else f"; at most {most} are allowed (--most-starts)"))
    for file, count in starts.by_file().most_common(None if most is not None and starts.total() > most else 5):
        terminalreporter.write_line(f"  {count:3d}  {file}")


def pytest_report_header(config: pytest.Config) -> str:
    seed = config.getoption("--order-seed")
    return "" if seed is None else f"order: random, --order-seed {seed}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Files that start TensorFlow come first: they take longest, and one of them at the end would be waited for."""
    in_order_by_chance(config, items)
    launched = {path: "mark.launched" in path.read_text() for path in {item.path for item in items}}
    items.sort(key=lambda item: not launched[item.path])


def pytest_collection_finish(session: pytest.Session) -> None:
    """What was imported and collected stays: the garbage collector need not look through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give all files that share ranks to one worker, with those that import TensorFlow themselves, and all that share
    the process of small programs, so that each is started once; the other files go to whichever worker is free, each as
    a whole, since its tests share what is made once for the file."""
    from xdist.scheduler import LoadScopeScheduling

    class OneWorkerForWhatIsShared(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return shared_by(nodeid.partition("::")[0])

    return OneWorkerForWhatIsShared(config, log)


@cache
def shared_by(path: str) -> str:
    """What the tests of a file share with those of others, or the file itself."""
    text = (ROOT / path).read_text()
    if IN_PROCESS.search(text):
        return "rank_servers"
    return next((name for name in ("rank_servers", "one_process") if f"support.{name} import" in text), path)


def in_order_by_chance(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A file's tests stay together, since they share what is made once for the file."""
    if (seed := config.getoption("--order-seed")) is None:
        return
    chance = random.Random(seed)
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    groups = list(files.values())
    for group in groups:
        chance.shuffle(group)
    chance.shuffle(groups)
    items[:] = [item for group in groups for item in group]


@pytest.fixture(scope="module", autouse=True)
def panels(request: pytest.FixtureRequest) -> Iterator[None]:
    """Reports are laid out but not rendered, which is most of their time, but in modules that say DRAWN = True."""
    reports = {"analysis", "launchers", "hostile"} & set(request.path.relative_to(ROOT / "tests").parts[:1])
    if not reports or getattr(request.module, "DRAWN", False):
        yield
        return
    from support.undrawn import undrawn
    with undrawn():
        yield


@pytest.fixture
def config() -> Callable[..., RunConfig]:
    """A small valid configuration, with changes."""
    return lambda **changes: RunConfig(**{**CONFIG, **changes})
