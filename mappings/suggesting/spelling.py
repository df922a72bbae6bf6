"""How a column is written in a proposed expression: as people write it, in quotes only where SQL needs them."""

from __future__ import annotations

import re

from mappings.expressions import allowlist
from mappings.sql import ident

PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
KEY_WORDS = (
    allowlist.RESERVED | allowlist.NOT_COLUMNS | allowlist.NOT_FUNCTIONS | frozenset(allowlist.EXPLAINED)
)


def name_sql(name: str) -> str:
    """A column's name in SQL."""
    return name if PLAIN.fullmatch(name) and name not in KEY_WORDS else ident(name)
