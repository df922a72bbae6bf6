"""What one conversion of the kit is."""

from __future__ import annotations

from dataclasses import dataclass

BLANK = r"[\s\u0085\u00a0\u1680\u180e\u2000-\u200b\u2028\u2029\u202f\u205f\u2060\u3000\ufeff]"
"""Every character of Unicode that shows as a blank, or as nothing at all between words, in a regular expression."""


@dataclass(frozen=True, slots=True)
class Macro:
    """A conversion: its name, its parameters in order, its SQL over them as columns, and what people are told.

    about: one sentence; example: an expression over constants; gives: what it is, as text. A macro without about is
    a part of others and is not offered.
    """

    name: str
    parameters: tuple[str, ...]
    sql: str
    about: str = ""
    example: str = ""
    gives: str = ""

    @property
    def signature(self) -> str:
        return f"{self.name}({', '.join(self.parameters)})"
