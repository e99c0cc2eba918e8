"""A rank starts without the packages that Keras would import only because they are there."""

from __future__ import annotations

import subprocess
import sys

from support.launching import environment

PROGRAM = """
import sys
from batchscale.benchmarks.rank import imports
imports.tensorflow_and_keras()
print(sorted(name for name in imports.OPTIONAL if name in sys.modules))
import sklearn, pandas
print(sorted(name for name in imports.OPTIONAL if name in sys.modules))
"""


def test_optional_packages_stay_out_and_can_be_imported_afterwards() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment(), capture_output=True, text=True,
                          check=True)
    assert done.stdout.splitlines() == ["[]", "['pandas', 'sklearn']"]
