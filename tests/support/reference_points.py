"""A file of MLPerf's reference convergence points, as tests write it: the real numbers of ResNet-50, and any others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

# MLPerf Training 4.0, ResNet-50, epochs to 75.9 % top-1: value x runs, per global batch, and the published means.
RESNET: dict[int, tuple[dict[int, int], float]] = {
    1632: ({33: 1, 34: 4, 35: 9, 37: 3}, 35.0),
    3264: ({34: 2, 35: 9, 36: 3, 37: 1}, 35.154),
    4096: ({39: 4, 40: 3, 41: 2, 42: 1}, 39.875),
    8192: ({41: 4, 42: 3, 43: 2, 44: 1}, 41.875),
    13056: ({44: 1, 45: 4, 46: 5}, 45.5),
    32768: ({55: 1, 56: 8, 57: 1}, 56.0),
    49152: ({67: 2, 68: 6, 69: 2}, 68.0),
    58880: ({78: 1, 79: 1, 80: 6, 81: 2}, 80.0),
    65536: ({83: 2, 84: 2, 85: 5, 86: 1}, 84.5),
    67840: ({85: 8, 86: 16, 87: 4}, 85.846),
}
HOSTILE = "<script>alert('x')</script>"
FOLDER_NAME = "rcps_resnet"


def point(batch: Any, epochs: Any, **more: Any) -> dict[str, Any]:
    return {"Benchmark": "resnet", "BS": batch, "Epochs to converge": epochs, "Creator": "a vendor", "When": "once",
            "Platform": "TBD", "Hyperparams": {"optimizer": "lars", "opt_base_learning_rate": 7.4}, **more}


def resnet() -> dict[str, Any]:
    return {f"resnet_ref_{batch}": point(batch, [value for value, times in counts.items() for _ in range(times)])
            for batch, (counts, _) in RESNET.items()}


def saved(folder: Path, content: Any, name: str = f"{FOLDER_NAME}.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path
