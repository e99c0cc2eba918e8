"""A rank whose all-reduce returns its own gradients: what Horovod does around a Keras 3 optimizer, without saying so.

Otherwise it is `batchscale-rank`, and takes its arguments.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from batchscale.benchmarks.rank import strategies, worker
from batchscale.benchmarks.rank.strategies.base import Strategy

create = strategies.create


def without_all_reduce(*arguments: Any) -> Strategy:
    strategy = create(*arguments)

    def mean(gradients: Sequence[Any]) -> Sequence[Any]:
        return gradients
    strategy.mean = mean  # type: ignore[method-assign]
    return strategy


strategies.create = without_all_reduce  # type: ignore[assignment]
sys.exit(worker.main())
