"""Numbers that come with a request: whatever is sent there, never a 500."""

from __future__ import annotations

LONGEST = 18
"""Digits of the largest numbers that PostgreSQL's bigint holds, whatever they are."""


def whole_number(text: str) -> int | None:
    """The number that a text is in digits; None where it is none, or none that a database could hold."""
    return int(text) if text.isdecimal() and len(text) <= LONGEST else None
