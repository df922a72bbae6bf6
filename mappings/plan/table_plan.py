"""How one table mapping is moved, as frozen values: what is read, where it goes, and what links the two."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from mappings.catalog.triggers import Trigger
from mappings.plan.codec import INLINE
from mappings.plan.keys import KeyPart, TargetKey
from mappings.plan.references import Reference
from mappings.sql import NOTHING, Sql


@dataclass(frozen=True, slots=True)
class Read:
    """A text at the source that is read as a value of a type, which not every text is."""

    sql: Sql
    type: Sql


@dataclass(frozen=True, slots=True)
class Value:
    """One target column filled from the feed.

    sql: at the source, of type `wire`; type: the target's type without modifier; rounded: the type to which the
    target rounds on assignment (numeric(10,2)), else the same as type; has_equality: false for json, xml, point;
    operators: the schema of the target's type's own operators, '' for PostgreSQL's;
    read: where the last thing that `sql` does is to read a text, so that one statement can ask which texts are none;
    collation: the target column's, '' for the type's own.
    """

    target: str
    sql: Sql
    wire: Sql
    type: Sql
    rounded: Sql
    has_equality: bool
    operators: str = ""
    read: Read | None = None
    collation: Sql = NOTHING


@dataclass(frozen=True, slots=True)
class Existing:
    """Rows already in the target: match expressions once over the target row `t`, once over the mapped row `w`, and
    the schemas of the operators that compare them."""

    on_target: tuple[Sql, ...]
    on_row: tuple[Sql, ...]
    then: Literal["keep", "update"]
    operators: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Overwriter:
    """Another table mapping that updates rows of the same target.

    columns: those that both fill; later: it comes after this one in the mapping's order.
    """

    table: str
    columns: tuple[str, ...]
    later: bool


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence that must stay ahead of a mapped column."""

    name: Sql
    column: str
    ascending: bool


@dataclass(frozen=True, slots=True)
class Woken:
    """Triggers of the source that its back-references must not fire. relation: the source's quoted name."""

    relation: Sql
    triggers: tuple[Trigger, ...]


@dataclass(frozen=True, slots=True)
class Other:
    """A column of the target that nothing fills, and that may be written."""

    name: str
    type: Sql


@dataclass(frozen=True, slots=True)
class Feed:
    """How the rows of the source are read. `*_sql` are composed and ready to be embedded.

    base_sql: the source without joins, for key boundaries; range_parts: how many leading key parts are of the base
    table; stepped: whether an index on them makes the next boundary cheap; estimate: source rows in scope, counted
    or estimated in planning; source_sql, alias: the source table and what it is called in `from_sql`, both quoted;
    walk: whether the copy cuts the source into ranges of keys or of pages, and why (compiling.walks).
    """

    base_sql: Sql
    from_sql: Sql
    where_sql: Sql | None
    order_sql: Sql | None
    distinct: bool
    key: tuple[KeyPart, ...]
    key_is_content: bool
    range_parts: int
    stepped: bool
    estimate: int
    source_sql: Sql = NOTHING
    alias: Sql = NOTHING
    walk: Literal["keys", "pages"] = "keys"
    walk_why: str = ""


@dataclass(frozen=True, slots=True)
class Destination:
    """The table that takes the rows, and what matters when one is written.

    target_sql: its quoted name; serial: whether one worker at a time writes it; overriding: it has an identity column;
    sequences: those that must stay ahead of mapped columns; ahead, drawn: sequences that other tables of the mapping
    copied keys past, or that its new rows count by, and that may be behind rows that were there before.
    """

    target_sql: Sql
    target_key: tuple[TargetKey, ...]
    existing: Existing | None
    serial: bool
    overriding: bool
    sequences: tuple[Sequence, ...]
    ahead: tuple[Sequence, ...] = ()
    drawn: tuple[Sequence, ...] = ()
    others: tuple[Other, ...] = ()
    overwriters: tuple[Overwriter, ...] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """How rows of both sides find each other.

    link_by: how a target row is found from a source row; aligned: whether the target sorts source ids like the source,
    so that ranges hold on both sides; backref_key: the name of the foreign key that the backref is, '' for none;
    same_ids: whether rows that are brought again after a rollback get the keys that they had; remembered: there are
    such rows (never in a plan).
    """

    source_id: tuple[str, ...]
    is_migrated: str | None
    keep_map: bool
    link_by: Literal["source_id", "map"]
    backref: str | None
    aligned: bool
    woken: Woken | None = None
    backref_key: str = ""
    same_ids: bool = True
    remembered: bool = False


@dataclass(frozen=True, slots=True)
class TargetTriggers:
    """Functions of users that writing a row of the target runs.

    triggers: those that come early; fires: there are any, of any kind; hushed: triggers that are off while rows are
    written, and in none of the others.
    """

    triggers: tuple[Trigger, ...] = ()
    fires: bool = False
    hushed: tuple[Trigger, ...] = ()


COUNTED = ("smallint", "integer", "bigint")
"""Types of keys that a sequence gives."""


@dataclass(frozen=True, slots=True)
class TablePlan:
    """All that the engine needs to move one table mapping, in parts whose fields its JSON has beside its own."""

    name: str
    source: str
    target: str
    values: tuple[Value, ...]
    references: tuple[Reference, ...]
    parents: tuple[str, ...]
    feed: Feed = field(metadata=INLINE)
    into: Destination = field(metadata=INLINE)
    link: Link = field(metadata=INLINE)
    firing: TargetTriggers = field(metadata=INLINE, default=TargetTriggers())

    def not_aligned(self) -> TablePlan:
        """The same, for rows of which each is looked up by itself on both sides, not joined in a range."""
        return replace(self, link=replace(self.link, aligned=False))

    def without_map(self) -> TablePlan:
        """The same, but that no map rows are kept."""
        return replace(self, link=replace(self.link, keep_map=False))

    def with_memory(self, remembered: bool) -> TablePlan:
        """The same, for rows that get the keys again that they had before a rollback, or not."""
        return replace(self, link=replace(self.link, remembered=remembered))

    @property
    def keyed_late(self) -> bool:
        """Whether only the insert tells the key of a new row: it is generated, or a trigger may change it."""
        made = [key for key in self.into.target_key if key.made]
        return any(key.default is None or any(t.insert for t in self.firing.triggers) for key in made)

    @property
    def ids_do_not_come_again(self) -> str:
        """Why rows that are brought again after a rollback cannot get the keys that they had; '' where they do, or
        where nobody asks for it."""
        made = [key for key in self.into.target_key if key.made] if self.link.same_ids else []
        counters = {sequence.column for sequence in self.into.drawn}
        for key in made:
            if key.default is None:
                return f"{key.column} is given by a trigger or computed"
            if key.type in COUNTED and key.column not in counters:
                return (
                    f"{key.column} does not count by a sequence of its own alone, which this role may set, and with an"
                    " index that it leads"
                )
        if made and self.into.existing and self.keyed_late:
            return "rows are matched, and a trigger comes before they are inserted"
        return ""

    @property
    def rewritten(self) -> bool:
        """Whether a trigger may change more of an updated row than the update does."""
        return any(trigger.update for trigger in self.firing.triggers)

    @property
    def referring(self) -> dict[str, list[tuple[int, Reference]]]:
        """By target column the references that may fill it, each with its number."""
        result: dict[str, list[tuple[int, Reference]]] = {}
        for number, ref in enumerate(self.references, start=1):
            result.setdefault(ref.target, []).append((number, ref))
        return result

    @property
    def assigning(self) -> list[tuple[int, Reference]]:
        """The columns whose values depend on those that are taken, each with its number among the references."""
        return [(number, ref) for number, ref in enumerate(self.references, start=1) if ref.assigned]

    @property
    def asked_to_assign(self) -> set[str]:
        """The target columns that have to be known of a row before such a value can be assigned to it."""
        result = (ref.assigned for _, ref in self.assigning)
        return {name for assigned in result if assigned for name in (*assigned.within, *assigned.match)}

    @property
    def whole(self) -> bool:
        """Whether all rows go in one statement: they point to each other, and may not do so later."""
        return any(ref.parent == self.name and not ref.deferred for ref in self.references)
