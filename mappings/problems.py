"""Problems: what is wrong with a mapping or a plan, and where, each a sentence an operator can act on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """path: where in the mapping file (`tables[2].columns.email`), '' for the whole; text: one sentence."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}" if self.path else self.text


class Refused(Exception):
    """Nothing was changed, because of the listed problems."""

    def __init__(self, problems: list[Problem] | tuple[Problem, ...]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
