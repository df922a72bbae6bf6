"""Holds the benchmark's servers to some memory, page cache included, by a memory cgroup; says where it may not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
NAME = "migrator-bench"


@dataclass(frozen=True, slots=True)
class Limit:
    """What holds. said: for the line of the table; group: '' where nothing could be done."""

    said: str
    group: Path | None = None

    def drop_caches(self) -> None:
        """Lets what the servers have read be forgotten, so that it is read from the disk again."""
        for name, text in (("memory.force_empty", "0"), ("memory.reclaim", "64G")):
            if self.group and (file := self.group / name).exists():
                with suppress(OSError):  # not all can be let go
                    file.write_text(text)


@contextmanager
def limited(pids: Iterable[int], size: int) -> Iterator[Limit]:
    """Holds these processes and their children, present and future, to `size` bytes until the end of the block."""
    group, name = _group()
    try:
        if group is None:
            raise OSError("there is none for memory")
        group.mkdir(exist_ok=True)
        (group / name).write_text(str(size))
        for pid in _trees(pids):
            with suppress(ProcessLookupError):  # it has just ended
                (group / "cgroup.procs").write_text(str(pid))
    except OSError as error:
        yield Limit(f"memory not limited, as a cgroup may not be made ({error})")
        return
    try:
        yield Limit(f"in {size // 2**20:,} MB of memory", group)
    finally:
        for pid in _trees(pids):
            with suppress(OSError):
                (group.parent / "cgroup.procs").write_text(str(pid))
        with suppress(OSError):
            group.rmdir()


def _group() -> tuple[Path | None, str]:
    """The group that is to be made, beneath our own, and the name of its limit; of version 1 or 2."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return ROOT / "memory" / path.strip("/") / NAME, "memory.limit_in_bytes"
        if number == "0" and (ROOT / path.strip("/") / "memory.max").exists():
            return ROOT / path.strip("/") / NAME, "memory.max"
    return None, ""


def _trees(pids: Iterable[int]) -> Iterator[int]:
    for pid in pids:
        yield pid
        with suppress(OSError):
            yield from _trees(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
