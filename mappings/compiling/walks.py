"""Whether the copy reads a source table in ranges of its keys, or of its pages; and why, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from mappings.catalog import row_order
from mappings.compiling.names.resolve import KIND_NAMES, Databases, Resolved
from mappings.language.spec import Walk
from mappings.plan.keys import KeyPart
from mappings.plan.table_plan import TablePlan
from mappings.problems import Problem
from mappings.sql import encoded, verbatim

PLACES_SINCE = 140000
"""PostgreSQL: the first version that reads a range of pages without a look at the others (TID Range Scan)."""


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
    if moved.into.existing and not cannot:
        cannot = (
            f"rows of {table.source.display} may be in the target already, and are looked for in this order"
        )
    if moved.link.keep_map and not cannot:
        cannot = "the migration map is kept, whose index is written fastest in the order of the keys"
    return Chosen("keys", cannot) if cannot else _as_keys_lie(table, key[0], databases)


def _as_keys_lie(table: Resolved, first: KeyPart, databases: Databases) -> Chosen:
    """By what is known of the first part of the key, and of the source's memory."""
    name, column = table.source.display, first.column
    order = row_order.read(databases.source, table.source.sql, column)
    if order.size < order.memory:
        kept = f"the source keeps {order.kept} in memory (shared_buffers)"
        return Chosen("keys", f"{name} has {order.said}, and {kept}")
    if order.correlation is None:
        return Chosen("keys", f"nobody knows how {column} lies, as {name} was never analysed")
    how = f"(correlation of {column} with the order of rows: {order.correlation:.2f})"
    if not order.is_at_random:
        return Chosen("keys", f"rows of {name} lie in the order of their keys {how}")
    held = f"it has {order.said}, of which the source keeps {order.kept} in memory (shared_buffers)"
    return Chosen("pages", f"keys of {name} lie at random {how}, and {held}")


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
    result = next((text for applies, text in against if applies), "")
    return result or ("" if _is_heap(table, databases) else f"{name} is not stored as a heap")


def _is_heap(table: Resolved, databases: Databases) -> bool:
    row = databases.source.execute(encoded(HEAP), [table.source.oid]).fetchone()
    return bool(row and row[0])


HEAP = verbatim(
    "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE c.oid = %s AND a.amname = 'heap')"
)
