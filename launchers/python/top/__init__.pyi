from batchscale.benchmarks.errors import BatchscaleError as BatchscaleError
from batchscale.launchers.python.chart import Chart as Chart
from batchscale.launchers.python.loaded import Loaded as Loaded, load as load
from batchscale.launchers.python.recording import Recorder as Recorder
from batchscale.launchers.python.studies import study as study

__version__: str
__all__: list[str]
