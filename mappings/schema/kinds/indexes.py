"""An index by the name of a step: how its name is made, what there is of it, and whether it is the one."""

from __future__ import annotations

from typing import NamedTuple

import psycopg

from mappings.plan.schema_steps import Step
from mappings.sql import Sql, compose, encoded, literal, shortened, verbatim

INDEX = """
SELECT x.indexrelid::regclass::text, x.indisvalid,
       x.indrelid = t.oid AND x.indisunique = {unique} AND x.indpred IS NULL AND x.indexprs IS NULL
         AND {listed} = (SELECT string_agg('"' || replace(a.attname, '"', '""') || '"', ', ' ORDER BY k.place)
                           FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS k(number, place)
                           JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.number)
  FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid JOIN pg_class t ON t.oid = {relation}::regclass
 WHERE c.relname = {name} AND c.relnamespace = t.relnamespace
"""


class Found(NamedTuple):
    """An index by the step's name. sql: its name as SQL; meant: whether it is over those columns."""

    sql: Sql
    valid: bool
    meant: bool


def find(conn: psycopg.Connection, step: Step) -> Found | None:
    """The index by the step's name, in the schema of its table."""
    unique = verbatim("true") if step.index and step.index.unique else verbatim("false")
    query = compose(
        INDEX,
        relation=literal(step.relation),
        unique=unique,
        listed=literal(step.after),
        name=literal(step.name),
    )
    row = conn.execute(encoded(query)).fetchone()
    return Found(row[0], row[1], row[2]) if row else None


def shows(step: Step) -> Sql:
    """SQL: whether an index by the step's name is there, valid, and unique where it has to be."""
    unique = verbatim("i.indisunique") if step.index and step.index.unique else verbatim("NOT i.indisunique")
    return compose(
        "EXISTS (SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " WHERE i.indrelid = to_regclass({relation}) AND c.relname = {name}"
        " AND i.indisvalid AND {unique})",
        relation=literal(step.relation),
        name=literal(step.name),
        unique=unique,
    )


def is_named(step: Step) -> Sql:
    """SQL: whether the schema of its table has anything by the step's name, be it an index or not."""
    return compose(
        "EXISTS (SELECT FROM pg_class c JOIN pg_class t ON t.relnamespace = c.relnamespace"
        " WHERE t.oid = to_regclass({relation}) AND c.relname = {name})",
        relation=literal(step.relation), name=literal(step.name),
    )  # fmt: skip


def index_name(table: str, columns: tuple[str, ...], end: str = "key") -> str:
    """table_columns_key, shortened by a hash where PostgreSQL would cut it."""
    return shortened("_".join((table, *columns, end)))
