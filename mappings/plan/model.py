"""The Plan: a revision compiled against the live catalogs of one environment, as frozen values.

Every piece of SQL in here was composed once, in planning, from checked names and re-printed expressions.
The engine only adds key ranges and table names of its own, so what is verified is what was copied.
Expressions are in terms of the source's FROM clause; a feed row has the columns k1.. (key), c1.. (values)
and r1_1.. (what references are looked up by).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from mappings.catalog.fingerprints import TableStructure
from mappings.catalog.triggers import Trigger
from mappings.plan import older
from mappings.plan.codec import from_plain, to_plain
from mappings.plan.keys import KeyPart, TargetKey
from mappings.plan.measures import Loss, Measure, Parameter
from mappings.plan.references import Reference
from mappings.plan.schema_steps import Step
from mappings.problems import Problem
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

    name: str
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
class TablePlan:
    """All that the engine needs to move one table mapping. `*_sql` are composed and ready to be embedded.

    source_sql, alias: the source table and what it is called in `from_sql`, both quoted; base_sql: the source without
    joins, for key boundaries; range_parts: how many leading key parts are of the base table; stepped: whether an
    index on them makes the next boundary cheap; aligned: whether the target sorts source ids like the source, so that
    ranges hold on both sides; link_by: how a target row is found from a source row; estimate: source rows in scope,
    counted or estimated in planning; drawn, ahead: sequences that its new rows count by, and that may be behind rows
    that were there before, or that other tables of the mapping copied keys past; triggers: those of the target that
    come early; fires: writing its rows runs functions of users; backref_key: the name of the foreign key that the
    backref is, '' for none; hushed: triggers of the target that are off while rows are written, and in none of the
    others; walk: whether the copy cuts the source into ranges of keys or of pages, and why (compiling.walks);
    same_ids: whether rows that are brought again after a rollback get the keys that they had; remembered: there are
    such rows (never in a plan).
    """

    name: str
    source: str
    target: str
    target_sql: Sql
    base_sql: Sql
    from_sql: Sql
    where_sql: Sql | None
    order_sql: Sql | None
    distinct: bool
    key: tuple[KeyPart, ...]
    key_is_content: bool
    range_parts: int
    stepped: bool
    values: tuple[Value, ...]
    references: tuple[Reference, ...]
    target_key: tuple[TargetKey, ...]
    source_id: tuple[str, ...]
    is_migrated: str | None
    keep_map: bool
    link_by: Literal["source_id", "map"]
    existing: Existing | None
    backref: str | None
    aligned: bool
    serial: bool
    overriding: bool
    sequences: tuple[Sequence, ...]
    parents: tuple[str, ...]
    estimate: int
    ahead: tuple[Sequence, ...] = ()
    drawn: tuple[Sequence, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    woken: Woken | None = None
    others: tuple[Other, ...] = ()
    overwriters: tuple[Overwriter, ...] = ()
    fires: bool = False
    hushed: tuple[Trigger, ...] = ()
    backref_key: str = ""
    source_sql: Sql = NOTHING
    alias: Sql = NOTHING
    walk: Literal["keys", "pages"] = "keys"
    walk_why: str = ""
    same_ids: bool = True
    remembered: bool = False

    @property
    def keyed_late(self) -> bool:
        """Whether only the insert tells the key of a new row: it is generated, or a trigger may change it."""
        made = [key for key in self.target_key if key.made]
        return any(key.default is None or any(t.insert for t in self.triggers) for key in made)

    @property
    def rewritten(self) -> bool:
        """Whether a trigger may change more of an updated row than the update does."""
        return any(trigger.update for trigger in self.triggers)

    @property
    def referring(self) -> dict[str, list[tuple[int, Reference]]]:
        """By target column the references that may fill it, each with its number."""
        found: dict[str, list[tuple[int, Reference]]] = {}
        for number, ref in enumerate(self.references, start=1):
            found.setdefault(ref.target, []).append((number, ref))
        return found

    @property
    def assigning(self) -> list[tuple[int, Reference]]:
        """The columns whose values depend on those that are taken, each with its number among the references."""
        return [(number, ref) for number, ref in enumerate(self.references, start=1) if ref.assigned]

    @property
    def asked_to_assign(self) -> set[str]:
        """The target columns that have to be known of a row before such a value can be assigned to it."""
        found = (ref.assigned for _, ref in self.assigning)
        return {name for assigned in found if assigned for name in (*assigned.within, *assigned.match)}

    @property
    def whole(self) -> bool:
        """Whether all rows go in one statement: they point to each other, and may not do so later."""
        return any(ref.parent == self.name and not ref.deferred for ref in self.references)


@dataclass(frozen=True, slots=True)
class Plan:
    """Ordered steps and tables, with what stands against starting (blockers) and what to know (warnings).

    tables: all of the mapping, parents first; selected: the names of those that a run of this plan moves.
    structure: the tables that the mapping reads and writes, as they were when the plan was made, and its
    fingerprint; both are empty in plans of before they were kept. estimated: tables whose rows were not counted, but
    taken from the server's statistics; unmeasured: those whose values nobody has looked at yet, so that steps and
    warnings may be missing: nothing is started from such a plan.
    """

    mapping: str
    revision: int
    sha256: str
    environment: str
    same_database: bool
    source_identity: str
    target_identity: str
    on_error: Literal["stop", "quarantine"]
    max_quarantined: int
    tables: tuple[TablePlan, ...]
    selected: tuple[str, ...]
    steps: tuple[Step, ...]
    measures: tuple[Measure, ...]
    warnings: tuple[Problem, ...]
    blockers: tuple[Problem, ...]
    next_run: int
    fingerprint: str = ""
    structure: tuple[TableStructure, ...] = ()
    losses: tuple[Loss, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    estimated: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()

    def table(self, name: str) -> TablePlan:
        """The table called `name`; KeyError if there is none."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)

    @property
    def moved(self) -> tuple[TablePlan, ...]:
        """The selected tables, parents first."""
        return tuple(table for table in self.tables if table.name in self.selected)

    @property
    def overwrites(self) -> bool:
        """Whether any table may update rows that were there, so that map rows may be superseded."""
        return any(table.existing and table.existing.then == "update" for table in self.tables)

    def to_json(self) -> dict[str, object]:
        """Plain values, as kept on a Run."""
        plain = to_plain(self)
        assert isinstance(plain, dict)
        return plain

    @classmethod
    def from_json(cls, data: object) -> Plan:
        """The plan that `to_json` wrote, of this version or an older one."""
        return from_plain(cls, older.completed(data) if isinstance(data, dict) else data)

    def text(self) -> str:
        """The plan as stable, indented JSON."""
        return json.dumps(self.to_json(), indent=2, ensure_ascii=False)
