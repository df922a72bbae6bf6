"""What one conversion of the kit is."""

from __future__ import annotations

from dataclasses import dataclass

BETWEEN = r"\s\u0085\u00a0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u2800\u3000\u3164"
BLANK = f"[{BETWEEN}]"
"""Every character of Unicode that shows as a blank, or parts words without being seen, in a regular expression."""

AT_ENDS = rf"[{BETWEEN}\u001c-\u001f\u00ad\u061c\u115f\u1160\u180e\u200c-\u200f\u2060\ufeff]"
"""The same with what joins letters, or turns their direction, without being seen: at the ends of a text it is nothing,
inside one it belongs to the word."""


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
