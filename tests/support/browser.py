"""What the tests in `browser/` share as fixtures: the browser, and the report that most of them look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.chromium import launched, program
from support.stored_study import SMALL
from support.synthetic_records import change, records, Timing, write_store

from batchscale.analysis.report import page as report

PLAN = """[plan]
name = "mine"
"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    with launched() as found:
        yield found


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Address of a report in which larger batches of SGD lose unless the rate is scaled, and those of Adam nothing;
    two replicas under MirroredStrategy were timed at the batches that were trained."""
    program()
    folder = tmp_path_factory.mktemp("browser")
    study = replace(change(SMALL, "sgd", "constant", accuracy_gap={512: 0.05}, loss_gap={512: 0.2}), timing=Timing(
        replica_batches=(32, 256, 512), global_batches=(32, 512), strategies=("mirrored",), launches=4))
    store = write_store(folder / "mine", records(study), name="mine", source="mine.toml", text=PLAN)
    return (report.write(store, folder / "report") / "index.html").as_uri()


@pytest.fixture(scope="session")
def report_folder(url: str) -> Path:
    return Path(url.removeprefix("file://")).parent
