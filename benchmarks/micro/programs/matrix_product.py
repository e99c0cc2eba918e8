"""The peak that model FLOP utilisation is taken of: products of square matrices, many in one function.

Request: cores, sizes, dtype, repeats, window_seconds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from .answer import prepare, Request, seconds_of, serve
from .training_step import interleaved

PRODUCTS = 4


def measure(request: Request) -> dict[str, Any]:
    """Return the seconds of products of square float32 matrices of the requested sizes."""
    prepare(request["cores"], 1)
    ways = {str(size): product(size, request["dtype"]) for size in request["sizes"]}
    seconds = interleaved(ways, request["repeats"], request["window_seconds"])
    # 2 n^3 operations in a product of n x n matrices: n^2 sums of n multiply-adds
    return {"rows": [{"size": int(size), "flops": 2 * int(size)**3 * PRODUCTS, "seconds": values}
                     for size, values in seconds.items()], "request": dict(request)}


def product(size: int, dtype: str) -> Callable[[int], float]:
    """Seconds of `count` times PRODUCTS products, each fed by the one before."""
    import tensorflow as tf
    start, factor = tf.fill([size, size], tf.cast(1.0, dtype)), tf.fill([size, size], tf.cast(1 / size, dtype))

    def chain(count: Any) -> Any:
        def body(k: Any, found: Any) -> tuple[Any, Any]:
            return k + 1, tf.matmul(found, factor)
        return tf.while_loop(lambda k, _: k < count, body, [0, start], parallel_iterations=1)[1][0, 0]

    compiled = tf.function(chain, autograph=False)
    return lambda count: seconds_of(lambda: float(compiled(tf.constant(PRODUCTS * count))))


if __name__ == "__main__":
    sys.exit(serve(measure))
