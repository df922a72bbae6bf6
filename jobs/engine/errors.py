"""The family of errors that the engine raises; each a sentence the operator can act on."""

from __future__ import annotations

import psycopg

ROW_CLASSES = ("21", "22", "23", "44", "P0", "MG")
"""SQLSTATE classes that blame a row: cardinality, data, integrity, check option, raised by triggers, our own."""

TOO_LARGE = "54000"
"""A row, or its entry in an index, is larger than a page may hold; or the server has run out of transaction ids."""

VALUE_STATES = ("0A000", "42601", "42704", TOO_LARGE)
"""Given to values too (NaN as an integer, a text that is no tsquery, one too long for its index), but also to other
troubles: those of a statement have a position in it, those of the server come from SERVER_FILES."""

SERVER_FILES = ("varsup.c", "multixact.c", "md.c", "plancache.c")
"""Parts of PostgreSQL: no transaction numbers left, a full file, a table that changed under a prepared statement."""

WRITTEN_CHECKS = ("exec_stmt_raise", "ExecWithCheckOptions")
"""Functions of PostgreSQL that refuse a row by what somebody wrote: RAISE, whatever its SQLSTATE, and policies."""

TRANSIENT_CLASSES = ("08", "40", "57P", "55P03", "55006", "25P03", "25P04")
"""Worth another try: connection, serialization and deadlock, shutdown and termination, locks, too long idle or open."""

TIMEOUTS = ("57014", "55P03")
"""A statement or a lock took longer than it may: fewer rows at a time may go through."""

EXHAUSTED = ("53", TOO_LARGE, "58030")
"""The server lacks room, memory or connections: an operator has to make some."""

NOT_THERE = ("42P01", "42703", "3F000")
"""A table, a column or a schema is not there."""

MISSING_PARENT = "MG001"
"""Raised by migrator.missing_parent when a reference's parent was not migrated; the detail is the parent's key."""


MOST_SAID = 2_000
"""Characters of what a server says that are kept: it repeats the whole value that it cannot read."""


def shortened(text: str) -> str:
    """What was said, or the beginning of it."""
    return text if len(text) <= MOST_SAID else f"{text[:MOST_SAID]}…"


class EngineError(Exception):
    """Something that the engine cannot go on with."""


class Fenced(EngineError):
    """Another worker has taken the run over; this one must not write."""


class PlanBroken(EngineError):
    """The frozen plan is not the one that was approved, or the databases are others."""


class TooManyQuarantined(EngineError):
    """More rows were set aside than the mapping allows."""


class StepFailed(EngineError):
    """A schema step could not be applied or undone."""


class Transient(EngineError):
    """A passing trouble: the same work may go through later."""


class Exhausted(EngineError):
    """The server has no room or no connections left: the run pauses until someone makes room."""


class RowError(EngineError):
    """One source row cannot be migrated. key: its text; column: the target column, '' if unknown; parent_key: of the
    row that it refers to and that is not there, '' for other errors.

    late: only because a parent came too late for its own chunk; the row is then left for the sweep.
    """

    late = False

    def __init__(
        self, table: str, key: str, column: str, sqlstate: str, message: str, parent_key: str = ""
    ) -> None:
        self.table, self.key, self.column, self.sqlstate = table, key, column, sqlstate
        self.message, self.parent_key = shortened(message), parent_key
        where = f"column {column}, " if column else ""
        super().__init__(f"{table}: source row {key}, {where}{self.message} (SQLSTATE {sqlstate})")


def orphan(table: str, key: str, column: str, parent: str, parent_key: str) -> RowError:
    """The error of a row whose parent was not migrated, in the words of migrator.missing_parent."""
    said = f"the {parent} row {parent_key} was not migrated" if parent else parent_key
    return RowError(table, key, column, MISSING_PARENT, said, parent_key)


def blames_row(error: psycopg.Error) -> bool:
    """Whether an error comes from the data of some row, so that a smaller range may go through."""
    state, where = error.sqlstate or "", error.diag
    if state.startswith(ROW_CLASSES):
        return True
    if is_written(error):
        return not state.startswith((*TRANSIENT_CLASSES, *EXHAUSTED))
    in_statement = where.statement_position or where.internal_position
    return state in VALUE_STATES and not in_statement and where.source_file not in SERVER_FILES


def is_written(error: psycopg.Error) -> bool:
    """Whether a row was refused by what somebody wrote into the target: no statement can ask for the reasons."""
    return error.diag.source_function in WRITTEN_CHECKS


def timed_out(error: psycopg.Error) -> bool:
    """Whether something took too long, so that a smaller range may go through."""
    return error.sqlstate in TIMEOUTS


def translate(error: psycopg.Error) -> EngineError:
    """The named error for one of psycopg's, for raising from it."""
    state = error.sqlstate or "08000"
    sentence = (error.diag.message_primary or str(error)).strip() or type(error).__name__
    if error.diag.message_detail:
        sentence = f"{sentence}: {error.diag.message_detail}"
    sentence = shortened(sentence)
    if state in NOT_THERE:
        sentence = f"{sentence}; if it was renamed, moved or dropped, put it back and try again"
    if state.startswith(EXHAUSTED) and not blames_row(error):
        return Exhausted(f"{sentence} (SQLSTATE {state})")
    if state.startswith(TRANSIENT_CLASSES):
        return Transient(f"{sentence} (SQLSTATE {state})")
    return EngineError(f"{sentence} (SQLSTATE {state})")
