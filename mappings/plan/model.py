"""The Plan: a revision compiled against the live catalogs of one environment, as frozen values.

Every piece of SQL in here was composed once, in planning, from checked names and re-printed expressions.
The engine only adds key ranges and table names of its own, so what is verified is what was copied.
Expressions are in terms of the source's FROM clause; a feed row has the columns k1.. (key), c1.. (values)
and r1_1.. (what references are looked up by).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from mappings.catalog.fingerprints import TableStructure
from mappings.plan import older
from mappings.plan.codec import from_plain, to_plain
from mappings.plan.measures import Loss, Measure, Parameter
from mappings.plan.schema_steps import Step
from mappings.plan.table_plan import TablePlan
from mappings.problems import Problem


@dataclass(frozen=True)  # no slots: it remembers where its tables are
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
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, TablePlan]:
        return {table.name: table for table in self.tables}

    @property
    def moved(self) -> tuple[TablePlan, ...]:
        """The selected tables, parents first."""
        selected = set(self.selected)
        return tuple(table for table in self.tables if table.name in selected)

    @property
    def overwrites(self) -> bool:
        """Whether any table may update rows that were there, so that map rows may be superseded."""
        return any(table.into.existing and table.into.existing.then == "update" for table in self.tables)

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
