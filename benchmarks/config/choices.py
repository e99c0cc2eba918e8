"""The choices of a configuration's named settings, and the limits of its numbers."""

from __future__ import annotations

import re

KINDS = ("accuracy", "throughput", "memory")
LARGEST = 2**53  # whole numbers up to here are exact as float64, and products of two stay finite
SEEDS = 2**32
MEASURED_RULE = "adascale"  # the learning-rate rule whose runs end by what they measure; RULES says the rest of it
PRECISIONS = ("float32", "float64", "mixed_float16", "mixed_bfloat16")
INPUTS = ("auto", "resident", "stream")
ONE, GROUPS = EXCHANGES = ("one", "groups")  # how a step's gradients go from replica to replica
KEEP, DROP = LAST_BATCHES = ("keep", "drop")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.]{0,59}")
