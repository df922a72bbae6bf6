"""Child processes that end with the process that started them."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

PR_SET_PDEATHSIG = 1
# Loaded here, before any fork: loading a library in a forked child of a threaded process may hang.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def end_with_parent(how: signal.Signals) -> Callable[[], None]:
    """A `preexec_fn`: the kernel sends `how` to the child when the *thread* that started it ends.

    Must run after privileges were dropped, which Popen's `user` does: a change of user clears it.
    """
    parent = os.getpid()

    def in_child() -> None:
        ask_to_end_with_parent(how)
        if os.getppid() != parent:  # it ended before the kernel was asked
            os._exit(1)

    return in_child


def ask_to_end_with_parent(how: signal.Signals) -> None:
    """The same for the running process itself. Linux only; elsewhere nothing happens."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, int(how), 0, 0, 0)


class StartedElsewhere:
    """A process that somebody else started, with what Popen offers for one of ours."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def poll(self) -> int | None:
        """None while it runs; how it ended nobody but its parent learns."""
        return None if is_alive(self.pid) else 0

    def send_signal(self, how: int) -> None:
        """Nothing happens where it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, how)

    def terminate(self) -> None:
        """Asks it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Raises TimeoutExpired."""
        until = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            if until is not None and time.monotonic() > until:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            time.sleep(0.05)
        return 0


def is_alive(pid: int) -> bool:
    """Whether a process has that id and is more than a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return not os.path.isdir("/proc/self")  # no /proc on this system: the signal's answer stands
