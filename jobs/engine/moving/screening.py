"""Bad rows found in bulk: what can be asked in one statement is asked, suspects are tried inside the target, one by
one, and only what then still fails is tried by halves.

Nothing is read from the source twice within one transaction, and no row costs a round trip. Where rows are only
inserted those that nobody suspects go in first: what a trial leaves behind in the indexes would be in their way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from jobs.engine import feed
from jobs.engine.errors import RowError, TooManyQuarantined, blames_row, orphan
from jobs.engine.feed import Work, run_sql
from jobs.engine.moving import bad_rows, blame, insert, late_parents
from jobs.engine.sql import feed_stage, key_sql, row_checks, trials
from jobs.engine.sql.row_checks import Fed, TargetColumn
from jobs.engine.sql.walks.chunk_range import Range
from jobs.engine.target.ledger import Done
from mappings.sql import Sql, compose, literal, placed, verbatim

FOREIGN_KEY, UNIQUE = "23503", "23505"

NOT_ASKABLE = ("42", "0A")
"""SQLSTATEs of a question that has no answer: a check by functions of another path, a type without an operator."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A row that may be bad. column: which is to blame, '' where that shows only in the trial; first: the key of a row
    that has to be in before it, '' if none has to."""

    key: str
    column: str = ""
    first: str = ""


def is_possible(work: Work) -> bool:
    """Whether bad rows may be set aside at all, and can be tried one by one: not where all rows go at once."""
    table = work.table
    aside = work.plan.on_error == "quarantine" or any(ref.missing == "quarantine" for ref in table.references)
    return aside and not table.whole


def unreadable(work: Work, chunk: Range) -> list[RowError]:
    """Rows of a range in which a text cannot be read as what it is to become, by the source's own word on it."""
    if work.plan.on_error != "quarantine" or work.source.info.server_version < row_checks.ASKS_INPUT:
        return []
    query = row_checks.unreadable(work.table, chunk, work.plan.max_quarantined + 1)
    if query is None:
        return []
    try:
        with work.source.transaction():
            rows = run_sql(work.source, query).fetchall()
    except psycopg.Error as error:
        if not blames_row(error):
            raise
        return []  # another expression fails before any text is read
    result = [RowError(work.table.name, key, column, state, said) for key, column, said, state in rows]
    _leave_what_is_there(work, result)
    return _not_too_many(work, result)


def _leave_what_is_there(work: Work, errors: Sequence[RowError]) -> None:
    """A row that arrived before its value changed is left out as one that came too late is: it is not set aside."""
    keys = [error.key for error in errors] if work.guarded else []
    there = {row[0] for row in run_sql(work.target, row_checks.brought(work.plan, work.table, keys))}
    for error in errors:
        error.late = error.key in there


Placed = tuple[Done, list[str] | None]
"""What went in, and the keys that the ledger must list."""


def place_good(work: Work, chunk: Range, relation: Sql, all_tried: bool) -> tuple[Placed, list[RowError]]:
    """Places a range's fed rows but the bad ones, as far as those can be asked for; with all_tried all of them."""
    result = list(_lost(work, chunk, relation))
    gone = {error.key for error in result}
    fed_rows = row_checks.fed(work.plan, work.table, relation, chunk, work.guarded)
    suspects = {s.key: s for s in _suspects(work, chunk, fed_rows) if s.key not in gone}
    if not (all_tried or work.table.into.existing):
        return _place_and_try(work, chunk, relation, suspects, result)
    result += _tried(work, chunk, relation, suspects)
    if all_tried:
        gone |= {error.key for error in result}
        more = _tried_by_halves(work, chunk, relation, gone)
        work.refusals.written = bool(more)
        result += more
    _not_too_many(work, result)
    return _place_without(work, chunk, relation, [error.key for error in result]), result


def _place_and_try(
    work: Work, chunk: Range, relation: Sql, suspects: Mapping[str, Suspect], lost: list[RowError]
) -> tuple[Placed, list[RowError]]:
    """First those that nobody suspects, then what of the others proves good."""
    _not_too_many(work, lost)
    placed = _place_without(work, chunk, relation, [*(error.key for error in lost), *suspects])
    waiting = {  # what has to be in first is in, unless it is suspected as well
        key: suspect if suspect.first in suspects else replace(suspect, first="")
        for key, suspect in suspects.items()
    }
    result = _not_too_many(work, [*lost, *_tried(work, chunk, relation, waiting)])
    bad = {error.key for error in result}
    if good := [key for key in suspects if key not in bad]:
        more = insert.place(work, chunk.narrowed(good), _only(work, chunk, relation, good))
        placed = _together(placed, more)
    return placed, result


def _place_without(work: Work, chunk: Range, relation: Sql, keys: Sequence[str]) -> Placed:
    rest = replace(chunk, without=(*chunk.without, *keys))
    return insert.place(work, rest, _without(work, chunk, relation, keys))


def _together(one: Placed, other: Placed) -> Placed:
    lists = [keys for _, keys in (one, other) if keys is not None]
    return one[0] + other[0], [key for keys in lists for key in keys] if lists else None


def _without(work: Work, chunk: Range, relation: Sql, keys: Sequence[str]) -> Sql:
    if not keys:
        return relation
    if work.plan.same_database:
        return feed_stage.inline(work.table, replace(chunk, without=(*chunk.without, *keys)), "copy")
    key = key_sql.feed_key_text(work.table, verbatim("f"))
    return compose("(SELECT f.* FROM {} AS f WHERE NOT {} = ANY ({}))", relation, key, key_sql.texts(keys))


def _only(work: Work, chunk: Range, relation: Sql, keys: Sequence[str]) -> Sql:
    if work.plan.same_database:
        return feed_stage.inline(work.table, chunk.narrowed(keys), "copy")
    key = key_sql.feed_key_text(work.table, verbatim("f"))
    return compose("(SELECT f.* FROM {} AS f WHERE {} = ANY ({}))", relation, key, key_sql.texts(keys))


def _not_too_many(work: Work, errors: list[RowError]) -> list[RowError]:
    if sum(not error.late for error in errors) > work.plan.max_quarantined:
        raise TooManyQuarantined(bad_rows.too_many(work, errors))
    return errors


def _lost(work: Work, chunk: Range, relation: Sql) -> Iterator[RowError]:
    """Rows whose parent is missing, all with one question for each reference."""
    table, lost = work.table, set[str]()
    fed_rows = row_checks.fed(work.plan, table, relation, chunk, work.guarded)
    for number, ref in key_sql.references(table, "copy"):
        if ref.missing == "null":
            continue
        rows = run_sql(
            work.target, row_checks.missing_parents(work.plan, table, fed_rows, number, ref)
        ).fetchall()
        coming = late_parents.parents(work, ref, sorted({parent for _, parent in rows}))
        for key, parent in rows:
            error = orphan(table.name, key, ref.target, ref.parent, parent)
            error.late = ref.parent != table.name and parent in coming
            if not (error.late or blame.may_be_set_aside(work, error)):
                raise error
            if key not in lost:
                lost.add(key)
                yield error


def _suspects(work: Work, chunk: Range, fed_rows: Fed) -> Iterator[Suspect]:
    """Rows that were set aside before, and rows that look as if the target would refuse them; each once or oftener."""
    if known := bad_rows.keys(work):
        yield from map(Suspect, feed.keys_in(work, chunk.narrowed(known)))
    for query in _questions(work, fed_rows):
        try:
            with work.target.transaction():
                rows = run_sql(work.target, query).fetchall()
        except psycopg.Error as error:
            if not blames_row(error) and not (error.sqlstate or "").startswith(NOT_ASKABLE):
                raise
            continue  # the trial by halves finds what cannot be asked
        yield from (Suspect(*row) for row in rows)


def _questions(work: Work, fed_rows: Fed) -> Iterator[Sql]:
    columns = {row[0]: TargetColumn(*row) for row in _facts(work, row_checks.COLUMNS)}
    asked = row_checks.Asked(work.table, fed_rows, columns, work.target.info.server_version)
    queries = [asked.ill_formed(), asked.breaking(_facts(work, row_checks.CHECKS))]
    queries.append(asked.pointing_nowhere(_violated(work, FOREIGN_KEY, row_checks.FOREIGN_KEYS)))
    if not work.table.into.existing:
        result = _violated(work, UNIQUE, row_checks.UNIQUE)
        queries += [asked.repeated(row_checks.Unique(*index)) for index in result]
    yield from (query for query in queries if query)


def _violated(work: Work, state: str, query: Sql) -> list[Any]:
    """What the target says of the constraints that were violated in this session; all of them, where the server named
    one by a name of a partition's."""
    names = work.refusals.constraints(state)
    facts = _facts(work, query) if names else []
    own = [fact for fact in facts if fact[0] in names]
    return [fact[1:] for fact in (own if len(own) == len(names) else facts)]


def _facts(work: Work, query: Sql) -> list[Any]:
    return run_sql(work.target, placed(query, literal(work.table.into.target_sql))).fetchall()


def _tried(work: Work, chunk: Range, relation: Sql, suspects: Mapping[str, Suspect]) -> list[RowError]:
    """Of the suspects, those that the target does refuse."""
    if not suspects:
        return []
    keys = dict.fromkeys([*suspects, *(suspect.first for suspect in suspects.values() if suspect.first)])
    pairs = [(suspect.key, suspect.first) for suspect in suspects.values()]
    columns = {suspect.key: suspect.column for suspect in suspects.values() if suspect.column}
    return _trial(work, chunk, _only(work, chunk, relation, list(keys)), trials.try_suspects(pairs), columns)


def _tried_by_halves(work: Work, chunk: Range, relation: Sql, gone: Iterable[str]) -> list[RowError]:
    rest = _without(work, chunk, relation, list(gone))
    return _trial(work, chunk, rest, trials.halve(work.plan.max_quarantined), {})


def _trial(
    work: Work, chunk: Range, relation: Sql, attempt: Sql, columns: Mapping[str, str]
) -> list[RowError]:
    """What a trial of some rows found. columns: which is to blame, by key, where that is known."""
    with work.target.transaction(force_rollback=True):
        insert.prepare_trial(work)
        places = (trials.ONE, trials.SOME, trials.READ_ON)
        performed = trials.functions(*(insert.statements(work, chunk, place) for place in places))
        for statement in (*trials.rows(work.table, relation), *performed, attempt):
            run_sql(work.target, statement)
        rows = run_sql(work.target, trials.READ_FOUND).fetchall()
    judge = blame.Blame(work)
    return [judge.judged(blame.Refusal(*row), columns.get(row[0], "")) for row in rows]
