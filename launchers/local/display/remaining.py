"""How long the rest of a study will take: expected seconds, scaled by what the finished part took."""

from __future__ import annotations

TRUSTED_SECONDS = 60.0  # until much has been done the expectation counts for more than the pace


class Remaining:
    """The pace is taken anew whenever a run ends, never between: so what is left does not grow while a run goes on.

    expected: seconds of all that is to be done. now: of a monotonic clock, in seconds.
    """

    def __init__(self, expected: float, now: float) -> None:
        self._left, self._done = expected, 0.0
        self._began = self._ended = now
        self._pace = 1.0

    def finished(self, expected: float, now: float) -> None:
        """Count a run of so many expected seconds as done."""
        self._left, self._done, self._ended = max(self._left - expected, 0.0), self._done + expected, now
        self._pace = (now - self._began + TRUSTED_SECONDS) / (self._done + TRUSTED_SECONDS)

    def seconds(self, running: float, now: float) -> float:
        """Return the seconds left. running: expected seconds of the runs under way, which no more is taken off than
        they were expected to take.

        >>> rest = Remaining(100.0, now=0.0)
        >>> rest.seconds(30.0, now=10.0), rest.seconds(30.0, now=50.0), rest.seconds(30.0, now=51.0)
        (90.0, 70.0, 70.0)
        """
        return self._pace * self._left - min(now - self._ended, self._pace * min(running, self._left))
