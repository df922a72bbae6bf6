"""Whether runs can go on at all: is a worker seated, does Redis answer. For the banner on the pages."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import lru_cache

from jobs.processes import control_database, doorbell, seats

PING_SECONDS = 0.3
KEPT_SECONDS = 2

_looking = threading.Lock()


@dataclass(frozen=True, slots=True)
class Ailment:
    """What is down, what that means for the operator, and the command that mends it."""

    title: str
    text: str
    command: str = ""


def ailments() -> tuple[Ailment, ...]:
    """What is wrong now; looked at most every two seconds, however many pages are open."""
    with _looking:  # of many who ask at once, one looks
        return _ailments_at(int(time.monotonic() / KEPT_SECONDS))


def forget() -> None:
    """Look anew at the next page."""
    _ailments_at.cache_clear()


@lru_cache(maxsize=1)
def _ailments_at(tick: int) -> tuple[Ailment, ...]:
    result = []
    if complaint := doorbell.complaint(PING_SECONDS):
        result.append(
            Ailment(
                f"{complaint}.",
                "Nothing is lost: runs are saved, a slice under way finishes, and all goes on by itself "
                "once Redis is back. Check REDIS_URL, or start everything again with"
                if complaint == doorbell.SILENT
                else "Nothing is lost: runs are saved, but none begins or goes on before Redis takes rings again, which"
                " it then does by itself. Make room there: free memory, or raise what it may use (maxmemory)",
                "make up" if complaint == doorbell.SILENT else "",
            )
        )
    if complaint := control_database.complaint(PING_SECONDS):
        result.append(
            Ailment(
                f"{complaint}.",
                "Runs stand still, and what the pages say of them may be old. What is committed stays, and all goes"
                " on by itself once it takes writes again.",
            )
        )
    elif not seats.live().exists():
        result.append(
            Ailment(
                "No worker is running.",
                "Runs are saved and wait until one takes them up. Start the servers and workers with",
                "make up",
            )
        )
    return tuple(result)
