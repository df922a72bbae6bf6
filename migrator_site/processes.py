"""Child processes that end with the process that started them."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

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
