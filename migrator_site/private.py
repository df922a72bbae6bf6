"""Folders (0700) and files (0600) that nobody else on the machine may read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def private_folder(path: Path) -> Path:
    """Make the folder, and missing parents, readable by its owner only; an existing folder is left as it is."""
    if not path.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    return path


def write_private(path: Path, text: str) -> None:
    """Replace the file's content in one step: a reader sees the old text or the new, never half of it."""
    handle, name = tempfile.mkstemp(dir=private_folder(path.parent), prefix=f".{path.name}.")
    with os.fdopen(handle, "w") as file:
        file.write(text)
    os.replace(name, path)


def kept_secret(path: Path, make: Callable[[], str]) -> str:
    """The secret in that file; made and kept there the first time. Processes that ask at once get the same one."""
    with suppress(FileNotFoundError):
        return path.read_text().strip()
    handle, name = tempfile.mkstemp(dir=private_folder(path.parent), prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(make() + "\n")
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        os.unlink(name)
    return path.read_text().strip()


def open_log(path: Path) -> int:
    """A file descriptor that appends to the log; the log of before is set aside as `.1` past 10 MB."""
    private_folder(path.parent)
    with suppress(FileNotFoundError):
        if path.stat().st_size > 10_000_000:
            path.replace(path.with_name(path.name + ".1"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
