"""Whether the copy reads a source table in ranges of its keys, or of its pages; and why, in a sentence.

In the order of keys that lie at random each row costs a page, as soon as the table is larger than the server keeps.
What it keeps for certain is shared_buffers; effective_cache_size is not asked, as most installations leave it at 4 GB
whatever their memory is. Where the map is kept, its index meets the keys in the order in which rows are read: what is
won at the source is lost there (700,000 uuid keys in too little memory: with the map 21 s by pages and 19 by keys,
without 13 and 20), and rows are taken back more slowly. So pages are chosen only without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from mappings.compiling.resolve import KIND_NAMES, Databases, Resolved
from mappings.language.spec import Walk
from mappings.plan.keys import KeyPart
from mappings.plan.model import TablePlan
from mappings.problems import Problem
from mappings.sql import encoded, verbatim

PLACES_SINCE = 140000
"""PostgreSQL: the first version that reads a range of pages without a look at the others (TID Range Scan)."""

AT_RANDOM = 0.5
"""Below this correlation of the key with the place of its row (pg_stats) the neighbours of a key lie anywhere."""


class Chosen(NamedTuple):
    """How a table is walked through, why, and what is wrong with what the mapping says of it."""

    walk: Walk
    why: str
    problems: tuple[Problem, ...] = ()


def choose(
    table: Resolved,
    key: Sequence[KeyPart],
    databases: Databases,
    *,
    written: AbstractSet[int],
    moved: TablePlan,
) -> Chosen:
    """written: oids of tables of the source's own database that the migration writes to; moved: how rows are copied."""
    asked, cannot = table.spec.walk, _without_pages(table, key, databases, written)
    if moved.whole and not cannot:
        cannot = f"rows of {table.source.display} point to each other and go at once"
    if moved.assigning and not cannot:
        cannot = f"values of one row of {table.source.display} depend on those of others"
    if asked == "pages" and cannot:
        text = f"{cannot}, so it cannot be read by its pages; leave walk out, or write keys"
        return Chosen("keys", cannot, (Problem(f"{table.path}.walk", text),))
    if asked:
        return Chosen(asked, "the mapping says so")
    if moved.existing and not cannot:
        cannot = (
            f"rows of {table.source.display} may be in the target already, and are looked for in this order"
        )
    if moved.keep_map and not cannot:
        cannot = "the migration map is kept, whose index is written fastest in the order of the keys"
    return Chosen("keys", cannot) if cannot else _as_keys_lie(table, key[0], databases)


def _as_keys_lie(table: Resolved, first: KeyPart, databases: Databases) -> Chosen:
    """By what is known of the first part of the key, and of the source's memory."""
    name, column = table.source.display, first.column
    row = databases.source.execute(encoded(PLACE), {"oid": table.source.oid, "column": column}).fetchone()
    assert row is not None
    size, memory, correlation, said, kept = row
    if size < memory:
        return Chosen("keys", f"{name} has {said}, and the source keeps {kept} in memory (shared_buffers)")
    if correlation is None:
        return Chosen("keys", f"nobody knows how {column} lies, as {name} was never analysed")
    how = f"(correlation of {column} with the order of rows: {correlation:.2f})"
    if correlation >= AT_RANDOM:
        return Chosen("keys", f"rows of {name} lie in the order of their keys {how}")
    held = f"it has {said}, of which the source keeps {kept} in memory (shared_buffers)"
    return Chosen("pages", f"keys of {name} lie at random {how}, and {held}")


PLACE = verbatim("""
SELECT x.size, x.memory, x.correlation, pg_size_pretty(x.size), pg_size_pretty(x.memory)
  FROM (SELECT pg_table_size(c.oid) AS size, pg_size_bytes(current_setting('shared_buffers')) AS memory,
               (SELECT abs(s.correlation) FROM pg_stats s
                 WHERE s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = %(column)s
                   AND NOT s.inherited) AS correlation
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = %(oid)s) AS x
""")


def _without_pages(
    table: Resolved, key: Sequence[KeyPart], databases: Databases, written: AbstractSet[int]
) -> str:
    """What stands against a walk by pages; '' if nothing does."""
    source, name, spec = table.source, table.source.display, table.spec
    known_by = "its whole content" if spec.key_is_content else "being the first of its key"
    against = (
        (source.kind != "r", f"{name} is {KIND_NAMES.get(source.kind, 'a partitioned table')}"),
        (source.has_children, f"{name} has children by inheritance"),
        (spec.key_is_content or spec.distinct, f"a row of {name} is known by {known_by}"),
        (not key or not all(part.in_base for part in key), f"a row of {name} may become several"),
        (source.oid in written, f"the migration itself writes to {name}"),
        (databases.source.info.server_version < PLACES_SINCE, "the source is older than PostgreSQL 14"),
    )
    found = next((text for applies, text in against if applies), "")
    return found or ("" if _is_heap(table, databases) else f"{name} is not stored as a heap")


def _is_heap(table: Resolved, databases: Databases) -> bool:
    row = databases.source.execute(encoded(HEAP), [table.source.oid]).fetchone()
    return bool(row and row[0])


HEAP = verbatim(
    "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE c.oid = %s AND a.amname = 'heap')"
)
