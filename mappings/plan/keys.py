"""What tells rows apart: the parts of a source key, and the columns of a target's."""

from __future__ import annotations

from dataclasses import dataclass

from mappings.sql import NOTHING, Sql, collated


@dataclass(frozen=True, slots=True)
class KeyPart:
    """One column of a source key.

    sql: at the source, of type `native`; type: in which it travels and is kept in the target; operators: the schema
    of the native type's own operators, '' for PostgreSQL's (mappings.catalog.equality); collation: of the source id
    there, '' for the type's own; collatable_there: whether the source has that collation too.
    """

    column: str
    sql: Sql
    native: Sql
    type: Sql
    in_base: bool
    collatable: bool
    operators: str = ""
    collation: Sql = NOTHING
    collatable_there: bool = False

    @property
    def kept_operators(self) -> str:
        """The schema of the operators of `type`: it is another type only where it is built in."""
        return self.operators if self.type == self.native else ""

    @property
    def kept(self) -> Sql:
        """The type in which it is compared in the target: two different collations would be an error."""
        return collated(self.type, self.collation)

    @property
    def fed(self) -> Sql:
        """The type in which the source projects it."""
        return self.kept if self.collatable_there else self.type


@dataclass(frozen=True, slots=True)
class TargetKey:
    """One column of the target's key (Table.row_key).

    default: SQL that makes a new value, None if it is mapped or generated; made: it is not mapped.
    """

    column: str
    type: Sql
    default: Sql | None
    made: bool = False
    operators: str = ""
    collation: Sql = NOTHING

    @property
    def kept(self) -> Sql:
        """The type in which it is compared with the map's text: two different collations would be an error."""
        return collated(self.type, self.collation)
