"""One `make up` per MIGRATOR_HOME: a lock that is gone when its holder is, however it ended."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path


def take(home: Path) -> int | None:
    """Become the one supervisor of this home. Returns None, or the process id of the one there is (0: unknown)."""
    global _kept
    lock = os.open(home / "up.pid", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for _ in range(10):  # `holder` holds it for an instant
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
            continue
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        _kept = lock
        return None
    os.close(lock)
    return _written(home)


def holder(home: Path) -> int | None:
    """The process id of the supervisor that runs for this home (0: unknown); None when there is none."""
    try:
        lock = os.open(home / "up.pid", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _written(home)
    finally:
        os.close(lock)
    return None


def _written(home: Path) -> int:
    text = (home / "up.pid").read_text().strip()
    return int(text) if text.isdigit() else 0


_kept = -1
