"""Sequences stay ahead of the values of their columns, whoever put those there."""

from __future__ import annotations

from collections.abc import Sequence as Several

from jobs.engine.feed import Work, run_sql
from mappings.plan.table_plan import Sequence, TablePlan
from mappings.sql import Sql, compose, ident, literal, verbatim

LOCK = 0x6D69_7371
"""Seed of the advisory locks, which are one for each table."""


def put_ahead(work: Work, sequences: Several[Sequence]) -> None:
    """Puts sequences past the largest values of their columns, one session at a time, or one could put them back."""
    if not sequences:
        return
    with work.target.transaction():
        run_sql(work.target, _alone(work.table))
        for sequence in sequences:
            run_sql(work.target, advance(work.table, sequence))


def advance(table: TablePlan, sequence: Sequence) -> Sql:
    """Puts a sequence past the largest value of its column, unless it is there already; at most at its own end."""
    extreme, side = (
        (verbatim("max"), verbatim(">")) if sequence.ascending else (verbatim("min"), verbatim("<"))
    )
    end = verbatim("least(x.value, q.seqmax)" if sequence.ascending else "greatest(x.value, q.seqmin)")
    largest = compose(
        "(SELECT {}({})::bigint FROM {})", extreme, ident(sequence.column), table.into.target_sql
    )
    name = compose("{}::regclass", literal(sequence.name))
    return compose(
        "SELECT setval({name}, {end}) FROM (SELECT {largest} AS value) AS x, pg_sequence AS q, {sequence_name} AS s\n"
        " WHERE q.seqrelid = {name} AND (x.value {side} s.last_value OR x.value = s.last_value AND NOT s.is_called)",
        name=name, end=end, largest=largest, sequence_name=sequence.name, side=side,
    )  # fmt: skip


def _alone(table: TablePlan) -> Sql:
    """Waits for whoever else puts sequences of the table ahead, to the end of the transaction."""
    return compose(
        "SELECT pg_advisory_xact_lock(hashtextextended({}, {}))", literal(table.into.target_sql), LOCK
    )
