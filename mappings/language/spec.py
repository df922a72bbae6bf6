"""The mapping as frozen values: what the operator wants, nothing about how.

The file format is contract version 1. `mapping_file` reads and writes it; these classes are what every
other room works with. Absent parts are None or empty tuples; defaults that depend on live tables
(the primary key, the source id's column names) are left absent here and resolved in planning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Policy = Literal["stop", "quarantine"]
MissingPolicy = Literal["stop", "quarantine", "null"]
Walk = Literal["keys", "pages"]
Constant = str | int | float | bool | None | tuple["Constant", ...] | dict[str, "Constant"]
"""A fraction is kept as the text that was written, so that 1.10 stays 1.10; only inside a list or mapping,
where it becomes JSON, it is a float."""


@dataclass(frozen=True, slots=True)
class Join:
    """Another source table that feeds the same target row; or a list of the row itself, each element a row.

    unnest: an expression that gives an array or a jsonb array; its elements are the column `alias`, their places, from
    1, the column `ordinality`. table and condition are '' then.
    """

    table: str
    alias: str
    condition: str
    type: Literal["inner", "left"] = "inner"
    unnest: str | None = None
    ordinality: str | None = None


@dataclass(frozen=True, slots=True)
class Lookup:
    """A text from a source-side table; key and value are SQL over its columns."""

    table: str
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Ref:
    """The row that a parent row became; `table` is a table mapping's name, `column` a target column of it.

    by: an expression whose text tells which of several is meant, `of` those that it may say, otherwise what happens to
    a row whose text is none of them; any_of: the one of these that took the parent. `table` is '' with either.
    """

    table: str
    column: str | None = None
    by: str | None = None
    of: tuple[tuple[str, Ref], ...] = ()
    otherwise: MissingPolicy | None = None
    any_of: tuple[Ref, ...] = ()

    @property
    def parents(self) -> tuple[Ref, ...]:
        """Each table mapping that may be meant, by itself."""
        return tuple(ref for _, ref in self.of) or self.any_of or (self,)

    @property
    def tables(self) -> frozenset[str]:
        """Their names."""
        return frozenset(ref.table for ref in self.parents)


InsidePolicy = Literal["stop", "quarantine", "null", "drop", "keep"]


@dataclass(frozen=True, slots=True)
class PathRef:
    """The ids at one place of a document: `$.steps[*].task`, as (key | number | None for every element) steps."""

    path: str
    ref: Ref
    missing: InsidePolicy | None = None


@dataclass(frozen=True, slots=True)
class Unique:
    """A text that no other row may have: one that is taken gets the suffix, whose {n} is the next free number.

    within: the target columns of whose values each combination has texts of its own; () for the whole table.
    """

    suffix: str
    within: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Number:
    """The next numbers of a list. within: as in Unique; order_by: over the source, by default the key.

    after: the number before the first, None for the largest of those that are there.
    """

    within: tuple[str, ...] = ()
    order_by: str | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """One target column and how it is filled: exactly one of from_, expr, value (has_value) and number.

    Ids inside the value: each (of an array), split (the text between them), pattern (a regular expression whose group
    is one), refs (in a document). unique, number: a value that depends on those that are taken.
    """

    name: str
    from_: tuple[str, ...] = ()
    expr: str | None = None
    value: Constant = None
    has_value: bool = False
    lookup: Lookup | None = None
    ref: Ref | None = None
    missing: InsidePolicy | None = None
    each: bool = False
    split: str | None = None
    pattern: str | None = None
    refs: tuple[PathRef, ...] = ()
    unique: Unique | None = None
    number: Number | None = None

    @property
    def parents(self) -> tuple[Ref, ...]:
        """Every table mapping that may be referred to, by itself."""
        return tuple(one.ref for one in self.refs) or (self.ref.parents if self.ref else ())

    @property
    def points_to(self) -> frozenset[str]:
        """Their names."""
        return frozenset(ref.table for ref in self.parents)

    @property
    def is_inside(self) -> bool:
        """Whether ids are inside the value."""
        return bool(self.refs or self.each or self.split is not None or self.pattern is not None)

    @property
    def within(self) -> tuple[str, ...]:
        """The target columns of whose values each combination has values of its own."""
        result = self.unique or self.number
        return result.within if result else ()

    @property
    def is_assigned(self) -> bool:
        """Whether its value depends on those that are taken."""
        return self.unique is not None or self.number is not None


@dataclass(frozen=True, slots=True)
class Existing:
    """What happens to source rows that match a row already in the target."""

    match: tuple[str, ...]
    then: Literal["keep", "update"]


@dataclass(frozen=True, slots=True)
class Link:
    """How a target row is tied to its source row. source_id: None = the default names, () = no column.

    foreign_key: whether the backref is a foreign key as well; same_ids: whether rows that were rolled back get the
    target ids again that they had.
    """

    source_id: tuple[str, ...] | None = None
    map: bool = True
    backref: str | None = None
    foreign_key: bool = False
    same_ids: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """One table mapping. key: None = the primary key; key_is_content = identity by content.

    triggers: those of the target that are left off while its rows are written, () = all, None = none.
    walk: in what ranges the source is read, None = as its keys lie.
    """

    name: str
    source: str
    target: str
    columns: tuple[Column, ...]
    alias: str | None = None
    joins: tuple[Join, ...] = ()
    where: str | None = None
    key: tuple[str, ...] | None = None
    key_is_content: bool = False
    distinct: bool = False
    order_by: str | None = None
    existing: Existing | None = None
    link: Link = Link()
    is_migrated: str | None = "is_migrated"
    triggers: tuple[str, ...] | None = None
    walk: Walk | None = None


@dataclass(frozen=True, slots=True)
class MappingSpec:
    """A whole mapping file. params: the names whose values stand with the environment, `:name` in expressions."""

    name: str
    tables: tuple[Table, ...]
    description: str = ""
    widen: bool = True
    on_error: Policy = "stop"
    max_quarantined: int = 1000
    params: tuple[str, ...] = ()

    def table(self, name: str) -> Table:
        """The table mapping called `name`; KeyError if there is none."""
        return {table.name: table for table in self.tables}[name]
