"""What the commands that list have in common: --limit, --after, --format; rows are written as they are read."""

from __future__ import annotations

import json
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterable
from typing import Any

from django.core.management.base import OutputWrapper


def whole(text: str) -> int:
    """A whole number from 1 on."""
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 2**63):
        raise ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def add_listing(parser: ArgumentParser, after: str, key: Callable[[str], Any] = str, limit: str = "") -> None:
    """after: what a row of the list is named by; limit: how many are listed without --limit, in words."""
    text = f"at most N{limit}; the next ones by --after"
    parser.add_argument("--limit", type=whole, metavar="N", help=text)
    parser.add_argument("--after", type=key, metavar=after, help="those that come after this one in the list")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def write_json(rows: Iterable[dict[str, Any]], out: OutputWrapper) -> None:
    """One array, however long, without holding it: a reader who has seen enough may go."""
    before = "["
    for row in rows:
        out.write(f"{before}{json.dumps(row)}", ending="")
        before = ", "
    out.write("]" if before == ", " else "[]")
