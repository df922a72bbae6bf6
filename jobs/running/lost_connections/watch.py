"""Threads that look after a session while it works."""

from __future__ import annotations

import threading
from typing import Self


class Watch(threading.Thread):
    """A thread beside a block of work, entered and left with it; when the block is left, `_ended` is set."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
