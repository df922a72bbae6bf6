"""What planning measured on the data, sizes and what values would lose; and the parameters that it was made with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measure:
    """What planning measured of one column: the longest value, against what the column holds."""

    table: str
    column: str
    measured: int
    limit: int
    widened_to: int | None


@dataclass(frozen=True, slots=True)
class Loss:
    """What planning found that the target's types will change in silence.

    rows: how many; examples: up to three of their values; told: what happens to them, as a sentence goes on.
    """

    table: str
    column: str
    rows: int
    examples: tuple[str, ...]
    told: str

    def __str__(self) -> str:
        return f"{self.rows} values {self.told}, for example {', '.join(self.examples)}"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the mapping and the value that it has in the plan's environment."""

    name: str
    value: str
