"""What has to hold before a difference is called one: the fewest seeds."""

from __future__ import annotations

FEWEST_SEEDS = 5
