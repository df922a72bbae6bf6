"""Rows that cannot be migrated: found by halving, and set aside with all that is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import psycopg

from jobs.engine import feed
from jobs.engine.errors import MISSING_PARENT, RowError, TooManyQuarantined, blames_row
from jobs.engine.feed import Work, run_sql
from jobs.engine.moving import ranges
from jobs.engine.moving.blame import Blame, diagnose, refusal
from jobs.engine.moving.insert import place
from jobs.engine.sql import key_sql
from jobs.engine.sql.walks.chunk_range import Range
from mappings.sql import Sql, compose, encoded, ident, verbatim


def name_first(work: Work, chunk: Range, act: Callable[[Work, Range], object]) -> None:
    """Raises the error of the first row of a range that `act` fails for, whatever may be set aside."""

    def judge(work: Work, key: str, cause: psycopg.Error) -> RowError:
        raise diagnose(work, key, cause) from cause

    with work.target.transaction(force_rollback=True):
        Search(work, act, judge).through(chunk)


def find(work: Work, chunk: Range, act: Callable[[Work, Range], object] = place) -> list[RowError]:
    """The rows of a range that cannot go in, found by halving; nothing stays. Raises the first if it may not.

    act: what is done to a range. Good rows stay in while the search goes on, so that of two rows that exclude each
    other the later is bad.
    """
    search = Search(work, act)
    with work.target.transaction(force_rollback=True):
        feed.hush(work)
        work.target.execute("SET CONSTRAINTS ALL IMMEDIATE")
        search.through(chunk)
    return search.found


def _judged(work: Work, key: str, cause: psycopg.Error) -> RowError:
    try:
        return Blame(work).judged(refusal(key, cause))
    except RowError as error:
        raise error from cause


@dataclass
class Search:
    """A search for bad rows. judge: names the error of one, or raises it.

    waiting: rows whose parent is not in yet, each with its error.
    """

    work: Work
    act: Callable[[Work, Range], object]
    judge: Callable[[Work, str, psycopg.Error], RowError] = _judged
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
                self.found += [self.judge(self.work, key, cause) for key, cause in self.waiting]
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
        work, halves = self.work, ranges.halves(self.work, chunk)
        keys = [] if halves else list(dict.fromkeys(chunk.only or feed.keys_in(work, chunk)))
        if len(keys) == 1 and work.table.whole and cause.sqlstate == MISSING_PARENT:
            self.waiting.append((keys[0], cause))
        elif len(keys) == 1:
            self.found.append(self.judge(work, keys[0], cause))
            if sum(not error.late for error in self.found) > work.plan.max_quarantined:
                raise TooManyQuarantined(too_many(work, self.found))
        elif keys:
            halves = chunk.narrowed(keys[: len(keys) // 2]), chunk.narrowed(keys[len(keys) // 2 :])
        for half in halves:
            self._halve(half)


TOGETHER, NARROW_BYTES, HELD_BYTES = 1_000, 8 * 1024, 8 * 2**20
"""So many rows are set aside at once, those that are wider as JSON apart; so many bytes of these at once, or one row: a
server holds what it is sent several times."""


def set_aside(work: Work, errors: Sequence[RowError]) -> None:
    """Keeps rows in the quarantine, each once: it stays the first run's, with the last one's reason."""
    for start in range(0, len(errors), TOGETHER):
        some = {error.key: error for error in errors[start : start + TOGETHER]}
        result = _rows_as_json(work, list(some), NARROW_BYTES)
        wide = {key: size for key, (size, text) in result.items() if text is None}
        _keep(work, [error for key, error in some.items() if key not in wide], result)
        for keys in _by_bytes(wide):
            _keep(work, [some[key] for key in keys], _rows_as_json(work, keys))


def _by_bytes(sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """Keys whose rows come to HELD_BYTES together at most, or one whose row alone is larger."""
    some, held = list[str](), 0
    for key, size in sizes.items():
        if some and held + size > HELD_BYTES:
            yield some
            some, held = [], 0
        some.append(key)
        held += size
    if some:
        yield some


def _keep(work: Work, errors: Sequence[RowError], rows: Mapping[str, tuple[int, str | None]]) -> None:
    work.target.execute(
        encoded(SET_ASIDE),
        {
            "mapping": work.plan.mapping,
            "table": work.table.name,
            "run": work.run,
            "keys": [error.key for error in errors],
            "columns": [error.column for error in errors],
            "states": [error.sqlstate for error in errors],
            "messages": [error.message for error in errors],
            "rows": [rows.get(error.key, (0, None))[1] for error in errors],
        },
    )


SET_ASIDE = verbatim(
    "WITH lent AS (DELETE FROM migrator.released WHERE mapping = %(mapping)s AND table_name = %(table)s"
    " AND source_key = ANY (%(keys)s) AND released_by = %(run)s RETURNING source_key, run)"
    " INSERT INTO migrator.quarantine (mapping, table_name, source_key, run, column_name, sqlstate, message,"
    " source_row) SELECT %(mapping)s, %(table)s, g.key,"
    " coalesce((SELECT min(l.run) FROM lent AS l WHERE l.source_key = g.key), %(run)s),"
    " g.column_name, g.state, g.message, g.source_row::json"
    " FROM unnest(%(keys)s::text[], %(columns)s::text[], %(states)s::text[], %(messages)s::text[], %(rows)s::text[])"
    " AS g(key, column_name, state, message, source_row) ON CONFLICT (mapping, table_name, source_key)"
    " DO UPDATE SET column_name = excluded.column_name, sqlstate = excluded.sqlstate,"
    " message = excluded.message, source_row = excluded.source_row, at = now()"
)


def _rows_as_json(
    work: Work, keys: Sequence[str], most: int | None = None
) -> dict[str, tuple[int, str | None]]:
    """Source rows with all their tables, by key, as (bytes, JSON text that the target takes in its encoding, None for
    those of more than `most` bytes); where an element of a list in them cannot be computed, the source table's own
    columns alone.

    Bytes that are no letters in any encoding become the sign for that.
    """
    try:
        with work.source.transaction():
            rows = run_sql(work.source, _whole_rows(work, keys, most)).fetchall()
    except psycopg.Error as error:
        if not (blames_row(error) and work.table.feed.alias):
            raise
        own = compose("{}.*", work.table.feed.alias)
        rows = run_sql(work.source, _whole_rows(work, keys, most, own)).fetchall()
    is_ascii = work.target.info.parameter_status("server_encoding") != "UTF8"
    return {key: (size, None if said is None else _told(key, said, is_ascii)) for key, size, said in rows}


def _told(key: str, said: bytes, is_ascii: bool) -> str:
    text = _without_content(key, said.decode("utf-8", "replace"))
    return "".join(map(_ascii, text)) if is_ascii else text


def _without_content(key: str, text: str) -> str:
    """The row without the key that was selected before its own columns, where its content is the key."""
    return f"{{{text.removeprefix(first)}" if text.startswith(first := f'{{"{CONTENT}":"{key}",') else text


def _ascii(letter: str) -> str:
    return letter if letter.isascii() else json.dumps(letter)[1:-1]


def _whole_rows(work: Work, keys: Sequence[str], most: int | None, columns: Sql = verbatim("*")) -> Sql:
    """(key, bytes, the row as JSON in bytes, NULL for more than `most`): each row looked up by its key; in one scan
    where its content is the key."""
    table = work.table
    if table.feed.key_is_content:
        where = key_sql.source_range(table, Range(only=tuple(keys)))
        rows = compose(
            "SELECT {key} AS {content}, {columns} FROM {from_sql} WHERE {where}",
            key=table.feed.key[0].sql, content=ident(CONTENT), columns=columns, from_sql=table.feed.from_sql,
            where=where,
        )  # fmt: skip
        return _told_up_to(
            most, compose("SELECT whole.{}, {} FROM ({}) AS whole", ident(CONTENT), JSON_BYTES, rows)
        )
    asked = ident("migrator asked")
    parts = key_sql.decoded(compose("{}.key", asked), [part.native for part in table.feed.key])
    where = key_sql.equal(
        [part.sql for part in table.feed.key], parts, [part.operators for part in table.feed.key]
    )
    row = compose("SELECT {} FROM {} WHERE {} LIMIT 1", columns, table.feed.from_sql, where)
    rows = compose(
        "SELECT {asked}.key, {json_bytes} FROM unnest({texts}) AS {asked}(key), LATERAL ({row}) AS whole",
        asked=asked, json_bytes=JSON_BYTES, texts=key_sql.texts(keys), row=row,
    )  # fmt: skip
    return _told_up_to(most, rows)


def _told_up_to(most: int | None, rows: Sql) -> Sql:
    told = (
        verbatim("x.told")
        if most is None
        else compose("CASE WHEN length(x.told) <= {} THEN x.told END", most)
    )
    return compose("SELECT x.key, length(x.told), {} FROM ({} OFFSET 0) AS x(key, told)", told, rows)


CONTENT = "migrator content"

JSON_BYTES = verbatim(
    "convert_to(row_to_json(whole)::text, CASE current_setting('server_encoding') WHEN 'SQL_ASCII' THEN 'SQL_ASCII'"
    " ELSE 'UTF8' END)"
)
"""What is stored as SQL_ASCII may be read only as bytes, where it is not UTF-8."""


def release(work: Work, chunk: Range, faulty: Sequence[RowError]) -> None:
    """Takes rows of a range out of the quarantine that went in this time.

    What an earlier run set aside is only lent out: it comes back if this run is rolled back.
    """
    aside = keys(work)
    if not aside:
        return
    still = {error.key for error in faulty}
    came = [key for key in feed.keys_in(work, chunk.narrowed(aside)) if key not in still]
    work.target.execute(
        "WITH gone AS (DELETE FROM migrator.quarantine WHERE mapping = %s AND table_name = %s AND source_key = ANY (%s)"
        " RETURNING *) INSERT INTO migrator.released SELECT gone.*, %s FROM gone WHERE gone.run <> %s",
        [work.plan.mapping, work.table.name, came, work.run, work.run],
    )


TAKE_BACK = verbatim(
    "WITH back AS (DELETE FROM migrator.released WHERE released_by = %s RETURNING *)"
    " INSERT INTO migrator.quarantine SELECT mapping, table_name, source_key, run, column_name, sqlstate, message,"
    " source_row, at FROM back ON CONFLICT DO NOTHING"
)
"""Rows that a run had taken out of the quarantine are in it again."""


def take_back(work: Work) -> None:
    """Puts what this run released into the quarantine again, as part of its rollback."""
    work.target.execute(encoded(TAKE_BACK), [work.run])


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
