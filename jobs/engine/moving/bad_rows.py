"""Rows that cannot be migrated: which column is to blame, and setting them aside with all that is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import psycopg

from jobs.engine import feed
from jobs.engine.errors import MISSING_PARENT, RowError, TooManyQuarantined, blames_row
from jobs.engine.feed import Work, run_sql
from jobs.engine.moving import late_parents
from jobs.engine.moving.insert import place
from jobs.engine.sql import key_sql
from jobs.engine.sql.key_sql import Range
from mappings.plan.model import Value
from mappings.sql import ident

PROBE = "migrator_probe"


def find(work: Work, chunk: Range, act: Callable[[Work, Range], object] = place) -> list[RowError]:
    """The rows of a range that cannot go in, found by halving; nothing stays. Raises the first if it may not.

    act: what is done to a range. Good rows stay in while the search goes on, so that of two rows that exclude each
    other the later is bad.
    """
    search = Search(work, act)
    with work.target.transaction(force_rollback=True):
        work.target.execute("SET CONSTRAINTS ALL IMMEDIATE")
        search.through(chunk)
    return search.found


@dataclass
class Search:
    """A search for bad rows. waiting: rows whose parent is not in yet, each with its error."""

    work: Work
    act: Callable[[Work, Range], object]
    found: list[RowError] = field(default_factory=list)
    waiting: list[tuple[str, psycopg.Error]] = field(default_factory=list)

    def through(self, chunk: Range) -> None:
        """Goes through a range in halves. Where rows point to each other, those whose parent is not in yet wait."""
        self._halve(chunk)
        while self.waiting:
            before, self.waiting = self.waiting, []
            for key, _ in before:
                self._halve(chunk.narrowed([key]))
            if len(self.waiting) == len(before):
                self.found += [_judged(self.work, key, cause) for key, cause in self.waiting]
                return

    def _halve(self, chunk: Range) -> None:
        try:
            with self.work.target.transaction():
                self.act(self.work, chunk)
            return
        except psycopg.Error as error:
            if not blames_row(error):
                raise
            cause = error
        work = self.work
        keys = list(dict.fromkeys(chunk.only or feed.keys_in(work, chunk)))
        if len(keys) == 1 and work.table.whole and cause.sqlstate == MISSING_PARENT:
            self.waiting.append((keys[0], cause))
        elif len(keys) == 1:
            self.found.append(_judged(work, keys[0], cause))
            if sum(not error.late for error in self.found) > work.plan.max_quarantined:
                raise TooManyQuarantined(too_many(work, self.found))
        elif keys:
            middle = len(keys) // 2
            self._halve(chunk.narrowed(keys[:middle]))
            self._halve(chunk.narrowed(keys[middle:]))


def _judged(work: Work, key: str, cause: psycopg.Error) -> RowError:
    error = diagnose(work, key, cause)
    error.late = late_parents.waits_for_parent(work, error)
    if not (error.late or may_be_set_aside(work, error)):
        raise error from cause
    return error


def diagnose(work: Work, key: str, error: psycopg.Error) -> RowError:
    """The named error for the one source row that is to blame."""
    column = error.diag.column_name or _constrained(work, error) or _guilty_column(work, key) or _rule(error)
    message = error.diag.message_primary or str(error)
    if error.diag.message_detail and not (error.sqlstate or "").startswith("22"):
        message = f"{message}: {error.diag.message_detail}"
    return RowError(work.table.name, key, column, error.sqlstate or "", message)


def _constrained(work: Work, error: psycopg.Error) -> str:
    """The columns of the constraint or unique index that was violated; '' if that was a domain's, or none."""
    if error.diag.datatype_name or not error.diag.constraint_name:
        return ""
    row = work.target.execute(
        "SELECT string_agg(DISTINCT a.attname, ', ') FROM pg_attribute a, ("
        " SELECT k.conrelid AS relation, k.conkey AS numbers FROM pg_constraint k WHERE k.conname = %(name)s"
        " UNION SELECT i.indrelid, i.indkey::int2[] FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " WHERE c.relname = %(name)s) AS x"
        " WHERE a.attrelid = x.relation AND a.attnum = ANY (x.numbers) AND (x.relation = %(table)s::regclass"
        " OR x.relation IN (SELECT p.relid FROM pg_partition_tree(%(table)s::regclass) AS p))",
        {"name": error.diag.constraint_name, "table": work.table.target_sql},
    ).fetchone()
    return row[0] if row and row[0] else ""


def _rule(error: psycopg.Error) -> str:
    """What was violated, where no column can be named."""
    return error.diag.constraint_name or ""


def _guilty_column(work: Work, key: str) -> str:
    """The first value that fails alone, at the source or against the target's column; '' if none does."""
    one = Range(only=(key,))
    where = " AND ".join(
        part for part in (work.table.where_sql, key_sql.source_range(work.table, one)) if part
    )
    return next((value.target for value in work.table.values if _fails(work, value, where)), "")


def _fails(work: Work, value: Value, where: str) -> bool:
    query = f"SELECT ({value.sql})::text FROM {work.table.from_sql} WHERE {where} LIMIT 1"
    try:
        with work.source.transaction():
            row = run_sql(work.source, query).fetchone()
        with work.target.transaction(force_rollback=True):
            run_sql(
                work.target,
                f"CREATE TEMPORARY TABLE {PROBE} AS SELECT {ident(value.target)} AS probed"
                f" FROM {work.table.target_sql} WITH NO DATA",
            )
            work.target.execute(
                f"INSERT INTO {PROBE} SELECT (%s)::{value.type}".encode(), [row[0] if row else None]
            )
    except psycopg.Error as error:
        return blames_row(error)
    return False


def may_be_set_aside(work: Work, error: RowError) -> bool:
    """By the policy of the reference whose parent is missing, else by the mapping's."""
    if error.sqlstate == MISSING_PARENT:
        policies = {ref.target: ref.missing for ref in work.table.references}
        return policies.get(error.column) == "quarantine"
    return work.plan.on_error == "quarantine"


def set_aside(work: Work, error: RowError) -> None:
    """Keeps the row in the quarantine, once: it stays the first run's, with the last one's reason."""
    work.target.execute(
        "WITH lent AS (DELETE FROM migrator.released WHERE mapping = %(mapping)s AND table_name = %(table)s"
        " AND source_key = %(key)s AND released_by = %(run)s RETURNING run)"
        " INSERT INTO migrator.quarantine (mapping, table_name, source_key, run, column_name, sqlstate, message,"
        " source_row) VALUES (%(mapping)s, %(table)s, %(key)s, coalesce((SELECT min(run) FROM lent), %(run)s),"
        " %(column)s, %(sqlstate)s, %(message)s, %(row)s) ON CONFLICT (mapping, table_name, source_key)"
        " DO UPDATE SET column_name = excluded.column_name, sqlstate = excluded.sqlstate,"
        " message = excluded.message, source_row = excluded.source_row, at = now()",
        {
            "mapping": work.plan.mapping,
            "table": work.table.name,
            "key": error.key,
            "run": work.run,
            "column": error.column,
            "sqlstate": error.sqlstate,
            "message": error.message,
            "row": _row_as_json(work, error.key),
        },
    )


def _row_as_json(work: Work, key: str) -> str | None:
    """The source row with all its tables, as JSON text that the target takes in its encoding.

    Bytes that are no letters in any encoding become the sign for that.
    """
    where = key_sql.source_range(work.table, Range(only=(key,)))
    query = f"SELECT {JSON_BYTES} FROM (SELECT * FROM {work.table.from_sql} WHERE {where} LIMIT 1) AS whole"
    row = run_sql(work.source, query).fetchone()
    text = row[0].decode("utf-8", "replace") if row else None
    if text is None or work.target.info.parameter_status("server_encoding") == "UTF8":
        return text
    return "".join(letter if letter.isascii() else json.dumps(letter)[1:-1] for letter in text)


JSON_BYTES = (
    "convert_to(row_to_json(whole)::text, CASE current_setting('server_encoding') WHEN 'SQL_ASCII' THEN 'SQL_ASCII'"
    " ELSE 'UTF8' END)"
)
"""What is stored as SQL_ASCII may be read only as bytes, where it is not UTF-8."""


def release(work: Work, chunk: Range, poisoned: Sequence[RowError]) -> None:
    """Takes rows of a range out of the quarantine that went in this time.

    What an earlier run set aside is only lent out: it comes back if this run is rolled back.
    """
    aside = keys(work)
    if not aside:
        return
    still = {error.key for error in poisoned}
    came = [key for key in feed.keys_in(work, chunk.narrowed(aside)) if key not in still]
    work.target.execute(
        "WITH gone AS (DELETE FROM migrator.quarantine WHERE mapping = %s AND table_name = %s AND source_key = ANY (%s)"
        " RETURNING *) INSERT INTO migrator.released SELECT gone.*, %s FROM gone WHERE gone.run <> %s",
        [work.plan.mapping, work.table.name, came, work.run, work.run],
    )


TAKE_BACK = (
    "WITH back AS (DELETE FROM migrator.released WHERE released_by = %s RETURNING *)"
    " INSERT INTO migrator.quarantine SELECT mapping, table_name, source_key, run, column_name, sqlstate, message,"
    " source_row, at FROM back ON CONFLICT DO NOTHING"
)
"""Rows that a run had taken out of the quarantine are in it again."""


def take_back(work: Work) -> None:
    """Puts what this run released into the quarantine again, as part of its rollback."""
    work.target.execute(TAKE_BACK.encode(), [work.run])


COUNTING_LOCK = 0x6D69_7163
"""Advisory lock, with the run's number, under which rows are set aside: workers that count at once see each other's."""


def refuse_too_many(work: Work, errors: Sequence[RowError]) -> None:
    """Raises TooManyQuarantined where more rows are aside than may be, these included; until the commit nobody else
    counts. To be called last: whoever holds the lock must wait for nothing more."""
    work.target.execute("SELECT pg_advisory_xact_lock(%s, %s)", [COUNTING_LOCK, work.run % 2**31])
    if count(work) > work.plan.max_quarantined:
        raise TooManyQuarantined(too_many(work, errors))


def count(work: Work) -> int:
    """Rows of the mapping in the quarantine, of all its tables."""
    row = work.target.execute(
        "SELECT count(*) FROM migrator.quarantine WHERE mapping = %s", [work.plan.mapping]
    ).fetchone()
    return row[0] if row else 0


def keys(work: Work) -> tuple[str, ...]:
    """Source keys of this table in the quarantine."""
    rows = work.target.execute(
        "SELECT source_key FROM migrator.quarantine WHERE mapping = %s AND table_name = %s ORDER BY source_key",
        [work.plan.mapping, work.table.name],
    )
    return tuple(row[0] for row in rows)


def too_many(work: Work, errors: Sequence[RowError]) -> str:
    """The sentence for a run that met more bad rows than it may set aside."""
    return f"more than {work.plan.max_quarantined} rows cannot be migrated; the last: {errors[-1]}"
