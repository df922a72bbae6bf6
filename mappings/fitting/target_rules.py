"""Values that no type is too small for, and that the target refuses all the same: by the CHECK of a domain or of the
table, or because none of its partitions takes their row.

What a rule says is asked at the source, of the values as the target will get them; so only rules are asked that could
be expressions of a mapping.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import psycopg

from mappings.catalog import tables
from mappings.catalog.describe import describe
from mappings.catalog.types import INTEGERS, TEXTS, TIMES, Kind
from mappings.compiling import projection
from mappings.compiling.columns import Compiler
from mappings.expressions.parser import ExpressionError, parse_expression
from mappings.fitting.gauge import loss
from mappings.fitting.type_promises import CLOCKS
from mappings.fitting.what_to_measure import Measured, matters
from mappings.sql import Sql, compose, encoded, ident, joined, verbatim

OWN = verbatim("""
NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_constraint'::regclass AND d.objid = c.oid
               AND (d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_collation'::regclass)
                    OR (d.refclassid = 'pg_type'::regclass AND d.refobjid <> ALL (ARRAY(SELECT oid FROM of)))))
""")
"""Whether a constraint `c` is made of PostgreSQL's own, on which pg_depend has no line, or of the domains `of`."""

DOMAIN_CHECKS = compose(
    """
WITH RECURSIVE of AS (
  SELECT t.oid, t.typbasetype FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
   WHERE a.attrelid = %s::regclass AND a.attname = %s AND t.typtype = 'd'
  UNION ALL SELECT t.oid, t.typbasetype FROM of JOIN pg_type t ON t.oid = of.typbasetype AND t.typtype = 'd')
SELECT pg_get_expr(c.conbin, 0), c.contypid::regtype::text FROM of JOIN pg_constraint c ON c.contypid = of.oid
 WHERE c.contype = 'c' AND {own} ORDER BY c.oid
""",
    own=OWN,
)

TABLE_CHECKS = compose(
    """
WITH of AS (SELECT 0::oid AS oid WHERE false)
SELECT pg_get_expr(c.conbin, c.conrelid), c.conname::text, ARRAY(
         SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey))
  FROM pg_constraint c WHERE c.conrelid = %s::regclass AND c.contype = 'c' AND {own} ORDER BY c.conname
""",
    own=OWN,
)

PARTITIONS = verbatim("""
SELECT pg_get_partition_constraintdef(p.relid), ARRAY(
         SELECT DISTINCT a.attname::text FROM pg_partition_tree(%(of)s::regclass) AS n
           JOIN pg_partitioned_table k ON k.partrelid = n.relid
           JOIN pg_attribute a ON a.attrelid = k.partrelid AND a.attnum = ANY (k.partattrs::int2[]) ORDER BY 1)
  FROM pg_partition_tree(%(of)s::regclass) AS p
 WHERE p.isleaf AND p.relid <> %(of)s::regclass AND NOT EXISTS (
       SELECT FROM pg_partition_tree(%(of)s::regclass) AS n JOIN pg_partitioned_table k ON k.partrelid = n.relid
        WHERE k.partstrat = 'h' OR k.partexprs IS NOT NULL
           OR EXISTS (SELECT FROM unnest(k.partclass::oid[]) AS c(oid) WHERE c.oid >= %(built_in)s))
""")
"""What a row of each partition has to be like, and the columns that the partitions are by, of all levels. Of hashes
each value has one, where all are made."""

MOST_PARTITIONS = 200
"""More would be asked of each row for longer than reading it takes."""


def refused(compiler: Compiler) -> Iterator[Measured]:
    """What is asked of each row for its target's rules."""
    for measured in (*_of_domains(compiler), *_of_checks(compiler), *_of_partitions(compiler)):
        if _can_be_asked(compiler, measured) and matters(compiler, measured):
            yield measured


def _can_be_asked(compiler: Compiler, measured: Measured) -> bool:
    """Not of an older server, which lacks a function."""
    try:
        describe(compiler.databases.source, projection.select([measured.loses()], compiler.from_sql))
    except psycopg.Error:
        return False
    return True


def _of_domains(compiler: Compiler) -> Iterator[Measured]:
    for number, column in _domains(compiler):
        given = compiler.databases.target.execute(
            encoded(DOMAIN_CHECKS), [compiler.table.target.sql, column.name]
        )
        value = _as_stored(compiler.expressions[number], compiler.kinds[number], column)
        if value is None:
            continue
        for check, domain in given.fetchall():
            if (rule := _as_expression(check)) is None:
                continue
            condition = compose("(SELECT ({}) IS FALSE FROM (SELECT {}) AS d(value))", rule, value)
            told = f"are refused by the domain {domain}, {check}"
            yield _measured(column.name, compiler.expressions[number], condition, told)


def _domains(compiler: Compiler) -> Iterator[tuple[int, tables.Column]]:
    for number, column in enumerate(compiler.table.spec.columns):
        target = compiler.table.target.column(column.name)
        if target and target.is_domain and number in compiler.kinds:
            yield number, target


def _of_checks(compiler: Compiler) -> Iterator[Measured]:
    """Not where a trigger may change what comes."""
    target = compiler.table.target
    if any(trigger.insert and trigger.early for trigger in target.triggers):
        return
    for check, name, columns in compiler.databases.target.execute(encoded(TABLE_CHECKS), [target.sql]):
        rule = _as_expression(check)
        condition = _of_row(compiler, columns, compose("({}) IS FALSE", rule)) if rule else None
        if condition:
            told = f"are refused by the constraint {name}, {check}"
            yield _measured(columns[0], _shown(compiler, columns), condition, told)


def _of_partitions(compiler: Compiler) -> Iterator[Measured]:
    target = compiler.table.target
    if not target.partition_columns:
        return
    given = {"of": target.sql, "built_in": tables.BUILT_IN}
    parts = compiler.databases.target.execute(encoded(PARTITIONS), given).fetchall()
    if not parts or len(parts) > MOST_PARTITIONS:
        return
    rules = [_as_expression(part) for part, _ in parts]
    if None in rules:
        return
    columns, any_of = parts[0][1], joined(" OR ", (compose("({})", rule) for rule in rules if rule))
    condition = _of_row(compiler, columns, compose("({}) IS NOT TRUE", any_of))
    if condition:
        told = f"belong to no partition of {target.display}"
        yield _measured(columns[0], _shown(compiler, columns), condition, told)


def _as_expression(rule: str | None) -> Sql | None:
    """A rule of the target as an expression of the mapping language, bound; None where it is none.

    Whoever owns the target's table wrote it, and it is executed at the source, by our role: so it may do there what an
    expression of a mapping may, and no more. Even functions of PostgreSQL's own read files and run other statements.
    """
    try:
        return parse_expression(rule).sql if rule else None
    except ExpressionError:
        return None


def _of_row(compiler: Compiler, names: Sequence[str], condition: Sql) -> Sql | None:
    """A condition on columns of the target, of the values that fill them; None where another thing fills one."""
    values = [_value_of(compiler, name) for name in names]
    if not names or not all(values):
        return None
    filled = joined(", ", (value for value in values if value))
    of = joined(", ", (ident(name) for name in names))
    return compose("(SELECT {} FROM (SELECT {}) AS n({}))", condition, filled, of)


def _value_of(compiler: Compiler, name: str) -> Sql | None:
    target = compiler.table.target.column(name)
    for number, column in enumerate(compiler.table.spec.columns):
        if column.name == name and target and number in compiler.kinds:
            return _as_stored(compiler.expressions[number], compiler.kinds[number], target)
    return None


def _as_stored(sql: Sql, kind: Kind, target: tables.Column) -> Sql | None:
    """A value as its column has it, as far as no cast can fail, cut or round; None for others."""
    exact = (*INTEGERS, "numeric")
    if kind.base == target.base or {kind.base, target.base} <= {*TEXTS, "text"}:
        result = target.base
    elif kind.base in exact and target.base in exact:
        fits = INTEGERS.get(kind.base, 2**64) <= INTEGERS.get(target.base, 0)
        result = target.base if fits else verbatim("numeric")
    elif {kind.base, target.base} <= {*TIMES, "date"} - {*CLOCKS}:
        result = target.base
    else:
        return None
    return compose("({})::{}", sql, result) if target.base_oid < tables.BUILT_IN else None


def _shown(compiler: Compiler, names: Sequence[str]) -> Sql:
    """The values of a row that are to blame, as one text."""
    values = [value for name in names if (value := _value_of(compiler, name))]
    return joined(" || ', ' || ", (compose("coalesce(({})::text, 'NULL')", value) for value in values))


def _measured(column: str, sql: Sql, condition: Sql, told: str) -> Measured:
    """The condition is no gauge: braces in it are no places."""
    gauge = replace(loss(verbatim("{1}")), lost=told, refused=True)
    return Measured(column, sql, gauge, condition)
