"""Batchscale from Python: how the batch size affects a Keras model, and how far the global batch scales.

    import batchscale

    found = batchscale.study("train.py", batches=[32, 128, 512], rules=["constant", "linear"])
    found = batchscale.load("results/quick")
    found.runs, found.decision, found.figure("a0-lost"), found.report()

What a name needs is imported when it is first used: `import batchscale` loads neither pandas nor TensorFlow.

This file is the package `batchscale` itself, as setup.cfg maps it; the stub beside it tells type checkers of the names.
"""

from importlib import import_module
from typing import Any

# name -> the module that has it
_PLACES = {"study": "launchers.python.studies", "load": "launchers.python.loaded", "Loaded": "launchers.python.loaded",
           "Chart": "launchers.python.chart", "Recorder": "launchers.python.recording",
           "BatchscaleError": "benchmarks.errors"}
__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    """Return what is asked for, imported now, and keep it."""
    if name == "__version__":
        from importlib.metadata import version  # of setup.cfg, as it was installed
        found = version("batchscale")
    elif name in _PLACES:
        found = getattr(import_module(f".{_PLACES[name]}", __name__), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
