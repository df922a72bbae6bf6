"""Which column of a bad row is to blame, and whether the row may be set aside for it."""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

import psycopg

from jobs.engine.errors import MISSING_PARENT, VALUE_STATES, RowError, blames_row
from jobs.engine.feed import Work, run_sql
from jobs.engine.moving import late_parents
from jobs.engine.sql import key_sql
from jobs.engine.sql.walks.chunk_range import Range
from mappings.sql import Sql, compose, encoded, ident, joined, verbatim

PROBE = verbatim("migrator_probe")


class Refusal(NamedTuple):
    """What a server said of one source row, found by its key."""

    key: str
    state: str
    message: str
    detail: str
    column: str
    constraint: str
    datatype: str


class Blame:
    """Names errors of source rows. Which columns a constraint is about is asked once."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self._of: dict[str, str] = {}

    def judged(self, refusal: Refusal, suspected: str = "") -> RowError:
        """The error of a row that is set aside, or waits for a parent that came too late; raises it else.

        suspected: the column to blame where the server names none.
        """
        error = self.named(refusal, suspected)
        error.late = late_parents.waits_for_parent(self.work, error)
        if not (error.late or may_be_set_aside(self.work, error)):
            raise error
        return error

    def named(self, refusal: Refusal, suspected: str = "") -> RowError:
        """The named error for the one source row that is to blame."""
        work, said = self.work, refusal.message
        column = refusal.column or self._constrained(refusal) or suspected or self._by_value(refusal)
        if refusal.state == MISSING_PARENT:
            return RowError(work.table.name, refusal.key, column, refusal.state, said, refusal.detail)
        if refusal.detail and not refusal.state.startswith("22"):
            said = f"{said}: {refusal.detail}"
        return RowError(work.table.name, refusal.key, column, refusal.state, said)

    def _by_value(self, refusal: Refusal) -> str:
        """The column whose value fails alone, where a value may be to blame; else what was violated."""
        of_value = refusal.datatype or refusal.state.startswith(("22", *VALUE_STATES))
        return (_guilty_column(self.work, refusal.key) if of_value else "") or refusal.constraint

    def _constrained(self, refusal: Refusal) -> str:
        """The columns of the constraint or unique index that was violated; '' if that was a domain's, or none."""
        name = refusal.constraint
        if refusal.datatype or not name:
            return ""
        if name not in self._of:
            values = {"name": name, "table": self.work.table.into.target_sql}
            row = self.work.target.execute(encoded(CONSTRAINED), values).fetchone()
            self._of[name] = row[0] if row and row[0] else ""
        return self._of[name]


CONSTRAINED = verbatim(
    "SELECT string_agg(DISTINCT a.attname, ', ') FROM pg_attribute a, ("
    " SELECT k.conrelid AS relation, k.conkey AS numbers FROM pg_constraint k WHERE k.conname = %(name)s"
    " UNION SELECT i.indrelid, i.indkey::int2[] FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " WHERE c.relname = %(name)s) AS x"
    " WHERE a.attrelid = x.relation AND a.attnum = ANY (x.numbers) AND (x.relation = %(table)s::regclass"
    " OR x.relation IN (SELECT p.relid FROM pg_partition_tree(%(table)s::regclass) AS p))"
)


def diagnose(work: Work, key: str, error: psycopg.Error) -> RowError:
    """The named error for the one source row that is to blame."""
    return Blame(work).named(refusal(key, error))


def refusal(key: str, error: psycopg.Error) -> Refusal:
    said = error.diag
    return Refusal(
        key, error.sqlstate or "", said.message_primary or str(error), said.message_detail or "",
        said.column_name or "", said.constraint_name or "", said.datatype_name or "",
    )  # fmt: skip


def _guilty_column(work: Work, key: str) -> str:
    """The first value that fails alone, at the source or against the target's column; '' if none does."""
    one = Range(only=(key,))
    where = joined(
        " AND ", (part for part in (work.table.feed.where_sql, key_sql.source_range(work.table, one)) if part)
    )
    said = [(ref.target, ref.by[-1].sql, ref.type) for _, ref in work.table.assigning if len(ref.by) > 1]
    values = [(value.target, value.sql, value.type) for value in work.table.values]
    named = (target for target, sql, kind in values + said if _fails(work, target, sql, kind, where))
    asked = (
        ref.target for ref in work.table.references for part in ref.by if _fails_there(work, part.sql, where)
    )
    return next(chain(named, asked), "")


def _fails_there(work: Work, sql: Sql, where: Sql) -> bool:
    """Whether the source cannot say what a reference asks for."""
    try:
        with work.source.transaction():
            run_sql(
                work.source,
                compose("SELECT ({})::text FROM {} WHERE {} LIMIT 1", sql, work.table.feed.from_sql, where),
            ).fetchone()
    except psycopg.Error as error:
        return blames_row(error)
    return False


def _fails(work: Work, target: str, sql: Sql, kind: Sql, where: Sql) -> bool:
    """Whether a value of the source cannot be that of a target column. kind: the column's type."""
    query = compose("SELECT ({})::text FROM {} WHERE {} LIMIT 1", sql, work.table.feed.from_sql, where)
    try:
        with work.source.transaction():
            row = run_sql(work.source, query).fetchone()
        with work.target.transaction(force_rollback=True):
            run_sql(
                work.target,
                compose(
                    "CREATE TEMPORARY TABLE {probe} AS SELECT {target} AS probed"
                    " FROM {target_sql} WITH NO DATA",
                    probe=PROBE, target=ident(target), target_sql=work.table.into.target_sql,
                ),
            )  # fmt: skip
            work.target.execute(
                encoded(compose("INSERT INTO {} SELECT (%s)::{}", PROBE, kind)),
                [row[0] if row else None],
            )
    except psycopg.Error as error:
        return blames_row(error)
    return False


def may_be_set_aside(work: Work, error: RowError) -> bool:
    """By the policy of the reference whose parent is missing; by the mapping's for any other fault of a row, among them
    a value in which ids cannot be found."""
    own = work.plan.on_error == "quarantine"
    if error.sqlstate != MISSING_PARENT:
        return own
    result = [ref for ref in work.table.references if ref.target == error.column]
    named = [ref for ref in result if ref.parent and error.message.startswith(f"the {ref.parent} row ")]
    nowhere = [ref for ref in result if not ref.parent]
    policies = [ref.missing for ref in (named or nowhere)[:1]]
    return (
        any(policy == "quarantine" or (policy == "null" and own) for policy in policies) if policies else own
    )
