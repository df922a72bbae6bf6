"""Names in expressions: columns as they are referred to, and relations."""

from __future__ import annotations

from dataclasses import dataclass

from mappings.expressions.constants import quote_identifier
from mappings.sql import Sql, printed


@dataclass(frozen=True, slots=True)
class ColumnName:
    """position: 1-based offset in the text."""

    qualifier: str | None
    name: str
    position: int


@dataclass(frozen=True, slots=True)
class RelationName:
    schema: str | None
    name: str

    @property
    def sql(self) -> Sql:
        names = (quote_identifier(part) for part in (self.schema, self.name) if part is not None)
        return printed(".".join(names))
