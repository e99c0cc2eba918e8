"""How long the rest of a study will take: expected seconds, scaled by what the last part of it took."""

from __future__ import annotations

TRUSTED_SECONDS = 60.0  # until much has been done the expectation counts for more than the pace
HALVED_AFTER = 60.0  # expected seconds: what is long past tells less of other runs, and of a machine that got busy


class Remaining:
    """The pace is taken anew whenever a run ends, never between: so what is left does not grow while a run goes on.

    expected: seconds of all that is to be done. now: of a monotonic clock, in seconds.
    """

    def __init__(self, expected: float, now: float) -> None:
        self._left, self._done, self._took = expected, 0.0, 0.0
        self._ended, self._pace = now, 1.0

    def finished(self, expected: float, now: float) -> None:
        """Count a run of so many expected seconds as done."""
        kept = 0.5 ** (expected / HALVED_AFTER)
        self._left = max(self._left - expected, 0.0)
        self._done, self._took = kept * self._done + expected, kept * self._took + now - self._ended
        self._ended, self._pace = now, (self._took + TRUSTED_SECONDS) / (self._done + TRUSTED_SECONDS)

    def seconds(self, running: float, now: float) -> float:
        """Return the seconds left. running: expected seconds of the runs under way, which no more is taken off than
        they were expected to take.

        >>> rest = Remaining(100.0, now=0.0)
        >>> rest.seconds(30.0, now=10.0), rest.seconds(30.0, now=50.0), rest.seconds(30.0, now=51.0)
        (90.0, 70.0, 70.0)
        """
        return self._pace * self._left - min(now - self._ended, self._pace * min(running, self._left))
