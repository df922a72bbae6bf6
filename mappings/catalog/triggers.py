"""Triggers of a table, as the catalog has them."""

from __future__ import annotations

from dataclasses import dataclass

from mappings.sql import Sql, verbatim


@dataclass(frozen=True, slots=True)
class Trigger:
    """An enabled trigger of a table, and the kinds of change that fire it.

    early: it comes before each row's change, which it may alter or prevent; always: it fires even in a session that
    replicates.
    """

    name: str
    always: bool
    insert: bool
    update: bool
    delete: bool
    early: bool = True

    @property
    def enable(self) -> Sql:
        """The clause of ALTER TABLE that puts it back."""
        return verbatim("ENABLE ALWAYS TRIGGER") if self.always else verbatim("ENABLE TRIGGER")
