"""The figures: samples of ours and of the limit, their medians, the bar, and whether it is met."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from rich.console import Console
from rich.table import Table

Unit = Literal["s", "rows/s", "MB", "ms", "bytes", "polls/s"]


@dataclass
class Line:
    """One figure. The bar is held against ours/limit where there is a limit, else against ours itself. fatal: a bar
    that is not met is a failure."""

    what: str
    unit: Unit = "s"
    bar: float | None = None
    at_least: bool = False
    middle: Callable[[Iterable[float]], float] = median
    ours: list[float] = field(default_factory=list)
    limit: list[float] = field(default_factory=list)
    fatal: bool = False

    @property
    def ratio(self) -> float | None:
        """ours/limit; None without both."""
        return self.middle(self.ours) / self.middle(self.limit) if self.ours and self.limit else None

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None where there is none."""
        if self.bar is None or not self.ours:
            return None
        value = self.middle(self.ours) if self.ratio is None else self.ratio
        return value >= self.bar if self.at_least else value <= self.bar

    def to_json(self) -> dict[str, object]:
        """Everything, with all samples."""
        found = {name: getattr(self, name) for name in ("what", "unit", "bar", "at_least")}
        middles = {
            "ours": self.middle(self.ours) if self.ours else None,
            "limit": self.middle(self.limit) if self.limit else None,
        }
        samples = {"ours_samples": self.ours, "limit_samples": self.limit}
        return found | middles | {"ratio": self.ratio, "met": self.met} | samples


class Sheet:
    """Lines in the order in which they were first named."""

    def __init__(self) -> None:
        self.lines: dict[str, Line] = {}

    def line(
        self,
        what: str,
        unit: Unit = "s",
        bar: float | None = None,
        at_least: bool = False,
        middle: Callable[[Iterable[float]], float] = median,
    ) -> Line:
        """The line of that name; made the first time."""
        return self.lines.setdefault(what, Line(what, unit, bar, at_least, middle))

    @property
    def failures(self) -> list[str]:
        """What the benchmark fails by."""
        return [what for what, line in self.lines.items() if line.fatal and line.met is False]

    def leave_out(self, unwanted: Callable[[Line], bool]) -> None:
        """Takes lines away that say nothing."""
        self.lines = {what: line for what, line in self.lines.items() if not unwanted(line)}

    def to_json(self) -> list[dict[str, object]]:
        """All lines."""
        return [line.to_json() for line in self.lines.values()]

    def show(self, console: Console) -> None:
        """The table."""
        table = Table(box=None, pad_edge=False)
        table.add_column("what", overflow="fold")
        for name in ("ours", "limit", "ratio", "bar", "met"):
            table.add_column(name, justify="right", no_wrap=True)
        for line in self.lines.values():
            table.add_row(line.what, *_cells(line))
        console.print(table)


def _cells(line: Line) -> list[str]:
    ours, limit = (_number(line, samples) for samples in (line.ours, line.limit))
    ratio = "" if line.ratio is None else f"{line.ratio:.2f}"
    met = {None: "", True: "met", False: "NOT met"}[line.met]
    return [ours, limit, ratio, _bar(line), met]


def _number(line: Line, samples: list[float]) -> str:
    return _said(line.middle(samples), line.unit) if samples else ""


def _bar(line: Line) -> str:
    if line.bar is None:
        return ""
    sign = "≥" if line.at_least else "≤"
    return f"{sign} {line.bar:g} ×" if line.limit else f"{sign} {_said(line.bar, line.unit)}"


def _said(value: float, unit: Unit) -> str:
    if unit == "rows/s":
        return f"{value / 1e6:.2f} M rows/s" if value >= 100_000 else f"{value:,.0f} rows/s"
    return f"{value:.0f} MB" if unit == "MB" else f"{value:.2f} {unit}"
