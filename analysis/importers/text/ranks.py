"""Text that several ranks print into one another, as mpirun, srun and horovodrun mark it."""

from __future__ import annotations

import re
from collections.abc import Iterator

# [job,rank]<stream>: of mpirun and horovodrun, [rank]<stream>: of horovodrun without MPI, and `rank: ` of srun -l.
MARK = re.compile(r"^\s*(?:\[\d{1,9},(\d{1,9})\]<std(?:out|err)>:|\[(\d{1,9})\]<std(?:out|err)>:|(\d{1,5}): )")


def of_rank_zero(lines: Iterator[str]) -> Iterator[str]:
    """Yield the lines of rank 0, without their mark, and of nobody in particular."""
    for line in lines:
        match = MARK.match(line)
        if match is None:
            yield line
        elif int(match[match.lastindex or 0]) == 0:  # the one group that matched
            yield line[match.end():]
