"""What PostgreSQL could not hold: rows and tables of too many columns, indexes that the wider type does not fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import psycopg

from mappings.catalog import tables
from mappings.plan.schema_steps import Step
from mappings.plan.table_plan import TablePlan
from mappings.problems import Problem
from mappings.schema import kinds
from mappings.sql import encoded, verbatim

MOST_OF_A_TABLE = 1600
"""PostgreSQL: MaxHeapAttributeNumber; dropped columns count as well."""


MOST_OF_A_ROW = 1664
"""PostgreSQL: MaxTupleAttributeNumber."""

OF_THE_MAP = 6
"""Columns of the map that a comparison reads beside those of both sides."""


def of_table(path: str, table: tables.Table, steps: Sequence[Step]) -> Iterator[Problem]:
    """Whether a table has room for the columns that the plan adds."""
    added = [s for s in steps if s.relation == table.sql and kinds.of(s).gives in ("column", "shadow")]
    if added and table.width + len(added) > MOST_OF_A_TABLE:
        text = (
            f"{table.display} has had {table.width} columns, dropped ones included, and {len(added)} have to be added:"
            f" PostgreSQL holds {MOST_OF_A_TABLE}; make the table anew without the dropped ones, or do without"
            " link.source_id, is_migrated or backref"
        )
        yield Problem(path, text)


def of_comparison(path: str, plan: TablePlan) -> Iterator[Problem]:
    """Whether a source row fits beside what tells that its target row is there, as they are compared."""
    values, refs = len(plan.values), len(plan.references)
    source = 1 + len(plan.feed.key) + values + 2 * refs
    beside = (
        1 + len(plan.link.source_id) + len(plan.into.target_key) + bool(plan.link.is_migrated) + OF_THE_MAP
    )
    over = source + beside - MOST_OF_A_ROW
    if over > 0:
        text = (
            f"{values + refs} columns are mapped, of which {values + refs - over} can be compared: PostgreSQL holds"
            f" {MOST_OF_A_ROW} in the row that pairs source and target; leave some out"
        )
        yield Problem(f"{path}.columns", text)


ILL_FITTING = verbatim("""
SELECT c.relname, quote_ident(n.nspname) || '.' || quote_ident(o.opcname)
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indclass::oid[]) AS k(number, class)
  JOIN pg_opclass o ON o.oid = k.class
  JOIN pg_namespace n ON n.oid = o.opcnamespace
  JOIN pg_type t ON t.oid = o.opcintype
 WHERE i.indrelid = %s AND k.number = %s AND t.typtype <> 'p' AND o.opcintype <> to_regtype(%s)
   AND NOT EXISTS (SELECT FROM pg_cast b WHERE b.castsource = to_regtype(%s) AND b.casttarget = o.opcintype
                      AND b.castmethod = 'b')
   AND NOT (o.opcdefault AND EXISTS (SELECT FROM pg_opclass d WHERE d.opcmethod = o.opcmethod AND d.opcdefault
                                        AND d.opcintype = to_regtype(%s)))
 ORDER BY 1
""")
"""Indexes over a column whose operator class is of another type than the new one, and for which there is no default."""


def of_operator_classes(
    conn: psycopg.Connection, target: tables.Table, column: tables.Column, new_type: str
) -> Iterator[Problem]:
    """Indexes that PostgreSQL could not build over the wider type. A type that only grows in length keeps them."""
    base = new_type.partition("(")[0] + ("[]" if new_type.endswith("[]") and "(" in new_type else "")
    if base == column.base:
        return
    for name, operators in conn.execute(encoded(ILL_FITTING), [target.oid, column.number, base, base, base]):
        text = (
            f"the column must be widened to {new_type}, but the operators of index {name} ({operators}) are of"
            f" {column.base}; drop the index, or build it with operators of {new_type} afterwards"
        )
        yield Problem(f"{target.display}.{column.name}", text)
