"""`batchscale run RECORD.json`: do one run again, from the configuration in its record or config.json."""

from __future__ import annotations

from pathlib import Path

from ....benchmarks.errors import PlanError
from ....benchmarks.records import identity
from ....benchmarks.records.json_files import read_json
from ....benchmarks.records.store import Store
from ....benchmarks.runs.run_config import from_json
from ...local.describe import Describer
from ...local.display import announcement
from ...local.display.progress import Progress
from ...local.machine_lock import machine_to_itself
from ...local.schedule import expected_wall_seconds
from ...local.study import exit_code, keep, Options, passes
from ...local.supervisor import StandBy
from ...local.worker import Limits, unfinished
from ...machine.cores import usable_cores


def run(path: Path, options: Options) -> int:
    """Results go to RESULTS/again-<digest>/; the record that was given stays as it is. Raises PlanError."""
    values = read_json(path)
    if not isinstance(values, dict) or not isinstance(values.get("config"), dict):
        raise PlanError(f"{path} holds no configuration; give a run's record.json or config.json.")
    announcement.say_checking()
    config = from_json(values["config"])
    store = Store(options.results / f"again-{config.digest}")
    with Describer() as asked:
        workloads, _ = identity.settled(store, asked.describe([config], store), [config], go_on=False)
    before, now = values.get("workload"), workloads[config.workload_key]
    if isinstance(before, dict) and "fingerprint" in before and before["fingerprint"] != now["fingerprint"]:
        print(identity.sentence([identity.Edit(config, before, now, 1)], Store(path.parent.parent), go_on=False))
    config, = identity.named([config], workloads)
    keep(store, [config], workloads,
         {"name": store.folder.name, "source": str(path), "text": "", "settings": {}, "skipped": []})
    runs = store.runs()
    limits = Limits(store.folder, launcher=options.launcher)
    seconds = expected_wall_seconds([config], usable_cores())
    with (machine_to_itself(print), StandBy(rounds=False) as none,
          Progress(runs, lambda run: unfinished(run, limits), seconds) as progress):
        usable = passes(runs, limits, progress, none)
        progress.update()
    return exit_code(runs, usable)
