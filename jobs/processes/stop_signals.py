"""Whether this process was asked to stop. A signal asks; long work looks between two pieces and ends there."""

from __future__ import annotations

import signal
from types import FrameType

_requested = False


def requested() -> bool:
    """Whether somebody asked this process to stop at the next boundary."""
    return _requested


def request() -> None:
    """Ask this process to stop at the next boundary. A process forked afterwards is asked too."""
    global _requested
    _requested = True


def reset() -> None:
    """Forget an earlier request: for processes that go on after a stop, such as the tests'."""
    global _requested
    _requested = False


def listen(*signals: signal.Signals) -> None:
    """From now on these signals ask this process to stop, instead of ending it. Main thread only."""
    for number in signals:
        signal.signal(number, _on_signal)


def _on_signal(number: int, frame: FrameType | None) -> None:
    request()
