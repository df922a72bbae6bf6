"""What is proposed, as values: pairs of tables, and for each target column what fills it, with a reason in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mappings.language.spec import Lookup
from mappings.suggesting.sides import Table

How = Literal["from", "expr", "ref", "lookup", "value"]


@dataclass(frozen=True, slots=True)
class Parent:
    """Where a reference leads: the source table of the parent's mapping, and the target table that it goes into.

    column: of that table, where it is not its whole primary key.
    """

    source: Table
    target: Table
    column: str | None = None


@dataclass(frozen=True, slots=True)
class ColumnProposal:
    """How a target column is filled. sources: source columns, the main one first; expr: SQL over them, or a constant.

    value: that constant as a text; score: 0 to 1; sure: whether it is taken for right.
    """

    target: str
    sources: tuple[str, ...]
    how: How
    score: float
    reason: str
    sure: bool = False
    expr: str | None = None
    lookup: Lookup | None = None
    parent: Parent | None = None
    value: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As the command prints it. source: the main source column, null for a constant."""
        return {
            "target": self.target,
            "source": self.sources[0] if self.sources else None,
            "how": self.how,
            "expr": self.expr,
            "score": round(self.score, 2),
            "sure": self.sure,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class TableProposal:
    """A source table and a target table that may hold the same things.

    mapping: the place of the table mapping that has them already, None for a pair that is proposed.
    """

    source: Table
    target: Table
    score: float
    reason: str
    columns: tuple[ColumnProposal, ...] = ()
    mapping: int | None = None

    @property
    def oids(self) -> tuple[int, int]:
        """Of source and target: what tells pairs apart."""
        return self.source.oid, self.target.oid

    def to_json(self) -> dict[str, Any]:
        """As the command prints it."""
        return {
            "source": self.source.sql,
            "target": self.target.sql,
            "score": round(self.score, 2),
            "reason": self.reason,
            "columns": [column.to_json() for column in self.columns],
        }
