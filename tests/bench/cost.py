"""Seconds of CPU, for machines that are shared: they say what a way costs while wall time says how busy others are."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def of(pids: Iterable[int]) -> float:
    """Of these processes with all their children, those included that have ended and were waited for."""
    return sum(_tree(pid) for pid in pids)


def of_own_children() -> float:
    """Of the processes that this one started and waited for."""
    times = os.times()
    return times.children_user + times.children_system


def _tree(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it has just ended; its parent has its time from now on
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS + of(map(int, children))


@dataclass
class Course:
    """What had been used by then, looked at again and again."""

    moments: list[float] = field(default_factory=list)
    used: list[float] = field(default_factory=list)

    def note(self, moment: float, used: float) -> None:
        """moment: as time.time() has it."""
        self.moments.append(moment)
        self.used.append(used)

    def between(self, begin: float, end: float) -> float:
        """Used from one moment to the other, as finely as it was looked at."""
        return self._at(end) - self._at(begin)

    def _at(self, moment: float) -> float:
        return self.used[min(bisect_left(self.moments, moment), len(self.used) - 1)] if self.used else 0.0
