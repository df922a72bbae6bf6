"""The words by which PostgreSQL reads the clock when a text becomes a date or time, and how a text is kept from it."""

from __future__ import annotations

import re

from mappings.expressions import tree
from mappings.expressions.constants import quote_literal
from mappings.expressions.tree import Argument, Call, Cast, Node, String
from mappings.sql import Sql, compose, joined, printed

_BETWEEN_LETTERS = (
    r'[\\"]*'  # arrays, rows and ranges take quotes and backslashes out of the middle of a word
)
PATTERN = "|".join(_BETWEEN_LETTERS.join(word) for word in ("now", "today", "tomorrow", "yesterday"))
r"""Read alike by Python and PostgreSQL. Without \b on purpose: `today10:00` means `today 10:00`."""

INSTEAD = r"\& depends on the clock"
"""No date or time: who casts it says so, quoting it."""

_WORDS = re.compile(PATTERN, re.IGNORECASE)


def names_clock(text: str) -> bool:
    """Whether a text, read as a date or time, may mean another one each time."""
    return bool(_WORDS.search(text))


def timeless_text(text: str) -> str:
    """The text with `no time` for each word of the clock: an array or a range stays one, but holds what no time is."""
    return _WORDS.sub("no time", text)


def guarded(node: Node) -> Node:
    """A text as it is, unless it names the clock: then one that no date or time is read from."""
    values = (Cast(node, tree.TEXT), String(PATTERN), String(INSTEAD), String("gi"))
    return Call("pg_catalog", "regexp_replace", tuple(Argument(value) for value in values))


def guarded_sql(sql: Sql) -> Sql:
    """The same for what is composed already."""
    texts = joined(", ", (printed(quote_literal(text)) for text in (PATTERN, INSTEAD, "gi")))
    return compose("pg_catalog.regexp_replace(({})::pg_catalog.text, {})", sql, texts)
