"""What every kind of schema step is asked: what shows that it stands, how it is carried out, and how it goes back.

A kind has one file: it composes its steps with their SQL, cost and sentence, and answers these questions about them.
Who executes steps and who prints them for a person are told the same by `Kind.carry_out`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple, Protocol, TypeVar

import psycopg

from mappings.plan.schema_steps import Step, StepKind
from mappings.schema.applied import Applied
from mappings.sql import NOTHING, Sql, compose, encoded, literal

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


Gift = Literal["", "type", "column", "index", "shadow"]


class Execution(Protocol[T_co]):
    """Who carries steps out: a worker executes them, an export prints them. Each ends with the register's line."""

    def together(self, step: Step) -> T_co:
        """All of it in one transaction."""

    def concurrently(self, step: Step) -> T_co:
        """An index, while others write; what a killed build left of it goes first."""

    def one_by_one(self, step: Step) -> T_co:
        """Each statement by itself, outside of a transaction."""

    def until_done(self, step: Step) -> T_co:
        """The first statement, then the second as often as it says that something is left."""


class Look(NamedTuple):
    """What a database shows of a step. against: why it cannot be carried out, '' if it can, or is done."""

    done: bool = False
    against: str = ""
    registered: bool = True


class Back(NamedTuple):
    """The way back as the database is now. against: why there is none."""

    statements: tuple[Sql, ...]
    against: str = ""


class Kind(ABC):
    """One kind of schema step."""

    name: ClassVar[StepKind]
    stands_by_itself: ClassVar[bool] = True
    """Whether its work is what the plan wants, and does not merely prepare another step."""
    repeats: ClassVar[bool] = False
    """Whether it may be applied on top of what the register has for the same column."""
    only_beside: ClassVar[bool] = False
    """Whether it can be carried out only as long as its shadow column is there."""
    gives: ClassVar[Gift] = ""
    """What its table has by it and had not before; '' for nothing that a mapping could name."""

    @abstractmethod
    def shows(self, step: Step) -> Sql:
        """SQL: whether a database shows what the step did, also where the table is gone."""

    def begun(self, step: Step) -> Sql:
        """SQL: whether anything by the name of what the step makes is there, whole or not."""
        return self.shows(step)

    def holds(self, step: Step) -> Sql:
        """SQL: whether it stands whole, with all that the step promises of it."""
        return self.shows(step)

    @abstractmethod
    def in_force(self, conn: psycopg.Connection, step: Step) -> Look:
        """Whether the database is as the step leaves it; `against` where it cannot become so."""

    def look(self, conn: psycopg.Connection, step: Step, known: Sequence[Applied]) -> Look:
        """known: what the register has in force for it, the last first."""
        result = self.in_force(conn, step)
        if not result.done or (known and step.is_script(known[0].sql)):
            return result
        if step.side == "target" and not step.alone:  # with its line in the register, or not at all
            return Look(against="that is so already, but not by a script of this register; plan again")
        return Look(done=True, registered=False)  # the worker died before it could say so

    def carry_out(self, step: Step, by: Execution[T]) -> T:
        """Tells who carries it out in which way."""
        return by.together(step)

    def leftover(self, conn: psycopg.Connection, step: Step) -> Sql:
        """The index, as SQL, that has to go before it is built; '' for none."""
        return NOTHING

    def is_gone(self, conn: psycopg.Connection, applied: Applied) -> bool:
        """Whether somebody took away what it changed, so that nothing is left to undo."""
        return False

    def back(self, conn: psycopg.Connection, applied: Applied) -> Back:
        """How an applied script is undone."""
        return Back(tuple(applied.undo))


def column_shows(step: Step, condition: Sql = NOTHING) -> Sql:
    """SQL: whether the step's column is there. condition: what has to hold of its pg_attribute besides."""
    return compose(
        "EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass({relation})"
        " AND attname = {name} AND NOT attisdropped{condition})",
        relation=literal(step.relation),
        name=literal(step.name),
        condition=condition,
    )


def column_type(conn: psycopg.Connection, relation: str, name: str) -> str | None:
    """The type of a column, None where there is no such column."""
    query = compose(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = {relation}::regclass"
        " AND attname = {name} AND NOT attisdropped",
        relation=literal(relation),
        name=literal(name),
    )
    row = conn.execute(encoded(query)).fetchone()
    return row[0] if row else None


def not_as_planned(step: Step, kind: str | None) -> Look:
    """The column is neither as the step found it nor as it leaves it. kind: its type, None where it is gone."""
    return Look(
        against=f"the column is {kind or 'gone'} now, not {step.before} as it was planned for; plan again"
    )
