"""The suite three times in a row, each time in another random order.

    PYTHONPATH=tests python -m soak.three_times [pytest's words]

Apart from the checks of every change: it takes three times as long, and finds what only fails after something else, or
now and then. The seed of a failing order is printed; `pytest --order-seed SEED` repeats it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence

TIMES = 3
USUAL = ("-m", "not slurm and not faults and not slow and not browser")


def main(words: Sequence[str]) -> int:
    """0 when every time went well. `words`: for pytest, such as -m "not launched"; a number: the first seed."""
    numbers = [int(word) for word in words if word.isdigit()]
    given = [word for word in words if not word.isdigit()] or USUAL
    first, failed = numbers[0] if numbers else int(time.time()) % 100_000, []
    for seed in range(first, first + TIMES):
        code = subprocess.run([sys.executable, "-m", "pytest", "-q", f"--order-seed={seed}", *given]).returncode
        print(f"order {seed}: {'all passed' if code == 0 else f'pytest ended with {code}'}", flush=True)
        failed += [seed] * (code != 0)
    print(f"{TIMES - len(failed)} of {TIMES} orders passed" + "".join(f"; repeat: pytest --order-seed {seed}"
                                                                      for seed in failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
