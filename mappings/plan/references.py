"""Target columns that are not filled from the source row alone: by the row of a parent, or by what is taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mappings.sql import NOTHING, Sql


@dataclass(frozen=True, slots=True)
class LookupBy:
    """One part of a reference: the child's value, already of the type of the parent's key part, and its operators."""

    sql: Sql
    type: Sql
    operators: str = ""


@dataclass(frozen=True, slots=True)
class Inside:
    """Where in a value the ids of parents are, each of the type `key`, and what becomes of one whose parent is missing.

    how: each (element of an array; parts: `text` where it is a text, which may be no id), split (between a text),
    pattern (before, in and behind the group), path (steps of a document as JSON: a key, a number, null
    for every element). said: for people. An element that stays or goes where its parent is missing is policy keep,
    drop or null; else the row is wrong.
    """

    how: Literal["each", "split", "pattern", "path"]
    parts: tuple[str, ...]
    key: Sql
    policy: Literal["", "null", "drop", "keep"]
    said: str = ""


@dataclass(frozen=True, slots=True)
class Assigned:
    """How a column gets a value that depends on those that are taken; it is kept in the target, for each source key.

    within: the target columns of whose values each combination has values of its own; folded: those of them of which
    different texts may be equal. order: at the source, the place of a row among those that come. unique: suffix, with
    {n}; most: characters that the column holds, 0 for any; told: SQL over the column, by which the target tells its
    values apart, and the schema of that type's operators. number: suffix ''; after: the number before the first, None
    for the largest that is there. match: the target columns by which rows are found that are there.
    """

    table: str
    within: tuple[str, ...]
    folded: tuple[str, ...]
    order: Sql
    suffix: str = ""
    most: int = 0
    told: Sql = NOTHING
    operators: str = ""
    after: int | None = None
    match: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reference:
    """A target column that receives a value of the row which a parent row became.

    value_column: the parent's target column; deferred: filled after all rows are in (self-references, cycles);
    collation: the referring column's, '' for the type's own. A column whose parent may be in one of several table
    mappings has a reference for each, of which a row asks one at most. parent: '' for what never leads anywhere: a row
    that asks it is wrong, and `by` is the sentence that says why. inside: ids are inside the value that `by` is;
    earlier: the references to other places of the same document, numbered before this one, which are filled first.
    assigned: the value is no parent's, but was kept for the source key that `by` begins with; what follows it there is
    what the source itself says.
    """

    target: str
    type: Sql
    parent: str
    value_column: str
    by: tuple[LookupBy, ...]
    missing: Literal["stop", "quarantine", "null"]
    deferred: bool
    operators: str = ""
    collation: Sql = NOTHING
    inside: Inside | None = None
    earlier: tuple[Reference, ...] = ()
    assigned: Assigned | None = None
