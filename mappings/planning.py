"""A revision and live catalogs in, a Plan out: everything that can be known before the start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg

from mappings import catalog, databases, obstacles, references, steps, structures
from mappings.compiling import Compiler
from mappings.fingerprints import fingerprint
from mappings.measuring import Finding, measure, unmatched_lookups, widened_table, wider
from mappings.models import Environment, Revision
from mappings.plan import KeyPart, Measure, Plan, Step, TablePlan
from mappings.problems import Problem, Refused
from mappings.resolving import Databases, Resolved, resolve
from mappings.spec import MappingSpec
from mappings.store import revision_spec
from mappings.table_plans import TablePlans

PLANNING_TIMEOUT_MS = 120_000
"""How long one statement of planning may take, scans for measuring included."""

SET_EXPRESSION_SINCE = 170000
"""PostgreSQL: ALTER COLUMN ... SET EXPRESSION."""


Gate = Callable[[Plan, Environment], Plan]
gates: list[Gate] = []
"""What rooms above this one add to each plan: approvals that are missing, as blockers."""


def make_plan(revision: Revision, environment: Environment, tables: Sequence[str] | None = None) -> Plan:
    """Compiles a revision for an environment. Raises Refused where a database cannot be reached."""
    spec = revision_spec(revision)
    with connected(environment) as found:
        plan = Planning(spec, found, tables).plan(revision.number, revision.sha256, environment.name)
    for gate in gates:
        plan = gate(plan, environment)
    return plan


@contextmanager
def connected(environment: Environment) -> Iterator[Databases]:
    """Both databases of an environment, for reading."""
    with (
        _reading("source", environment.source_url) as source,
        _reading("target", environment.target_url) as target,
    ):
        yield Databases(source, target, databases.same_database(source, target))


def _reading(side: str, url: str) -> psycopg.Connection[Any]:
    try:
        return databases.connect(
            url, purpose="planning", read_only=True, statement_timeout_ms=PLANNING_TIMEOUT_MS
        )
    except databases.DatabaseUnreachable as error:
        raise Refused([Problem(side, str(error))]) from error


@dataclass
class Planning:
    """One planning: collects problems instead of stopping at the first."""

    spec: MappingSpec
    databases: Databases
    only: Sequence[str] | None = None
    blockers: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    measures: list[Measure] = field(default_factory=list)
    widening: dict[str, dict[str, str]] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    def plan(self, number: int, sha256: str, environment: str) -> Plan:
        """The plan, with blockers if it cannot be started."""
        self._check_selection()
        structure = structures.read(self.spec, self.databases)  # first: what changes meanwhile is then seen
        resolved = {table.spec.name: table for table in resolve(self.spec, self.databases, self.blockers)}
        findings = {name: self._measure(table) for name, table in resolved.items()}
        live = {name: table.target for name, table in resolved.items()}
        resolved = {name: self._widened(table) for name, table in resolved.items()}
        tables = self._tables(resolved, findings)
        self._collect_steps(tables, resolved, live)
        return Plan(
            mapping=self.spec.name,
            revision=number,
            sha256=sha256,
            environment=environment,
            same_database=self.databases.same,
            source_identity=databases.identity(self.databases.source),
            target_identity=databases.identity(self.databases.target),
            on_error=self.spec.on_error,
            max_quarantined=self.spec.max_quarantined,
            tables=tuple(tables),
            selected=tuple(table.name for table in tables if not self.only or table.name in self.only),
            steps=tuple(self.steps),
            measures=tuple(self.measures),
            warnings=tuple(dict.fromkeys(self.warnings)),
            blockers=tuple(dict.fromkeys(self.blockers)),
            next_run=obstacles.next_run(self.databases.target),
            fingerprint=fingerprint(structure),
            structure=structure,
        )

    def _check_selection(self) -> None:
        names = {table.name for table in self.spec.tables}
        for name in self.only or ():
            if name not in names:
                self.blockers.append(Problem("tables", f"there is no table {name} in this mapping"))

    def _measure(self, table: Resolved) -> Finding:
        compiler = Compiler(table, self.databases, [])
        for number, column in enumerate(table.spec.columns):
            if column.lookup:
                compiler.value(
                    number, column
                )  # adds the lookup to the FROM clause; its problems show up again
        if compiler.problems:
            return Finding()
        finding = measure(compiler, self.spec.widen)
        self.measures += finding.measures
        self.warnings += [*finding.warnings, *unmatched_lookups(compiler)]
        self.blockers += finding.blockers
        widening = self.widening.setdefault(table.target.sql, {})
        for name, new_type in finding.widened.items():
            widening[name] = wider(widening.get(name, new_type), new_type)
        return finding

    def _widened(self, table: Resolved) -> Resolved:
        return replace(table, target=widened_table(table.target, self.widening.get(table.target.sql, {})))

    def _tables(self, resolved: dict[str, Resolved], findings: dict[str, Finding]) -> list[TablePlan]:
        deferred = references.deferred_columns(self.spec, resolved)
        names = references.order(self.spec, deferred, self.blockers)
        compiler = TablePlans(self.spec, self.databases, resolved, deferred, self.blockers)
        return [compiler.plan(name, findings[name].rows) for name in names if name in resolved]

    def _collect_steps(
        self, tables: list[TablePlan], resolved: dict[str, Resolved], live: dict[str, catalog.Table]
    ) -> None:
        found: dict[tuple[str, str], Step] = {}
        for plan in tables:
            if self.only and plan.name not in self.only:
                continue
            target, table = live[plan.name], resolved[plan.name]
            for step in (
                *self._widen_steps(plan, target),
                *self._column_steps(plan, table, target),
            ):
                found.setdefault((step.relation, step.name), step)
        self.steps = list(found.values())

    def _widen_steps(self, plan: TablePlan, target: catalog.Table) -> Iterator[Step]:
        for name, new_type in self.widening.get(target.sql, {}).items():
            column = target.column(name)
            assert column is not None
            set_expression = self.databases.target.info.server_version >= SET_EXPRESSION_SINCE
            self.blockers += obstacles.of_widening(target, column, set_expression)
            yield steps.widen(plan.name, target, column, new_type, set_expression)

    def _column_steps(self, plan: TablePlan, table: Resolved, target: catalog.Table) -> Iterator[Step]:
        path = table.path
        self.blockers += obstacles.of_link(path, plan)
        for name, part in zip(plan.source_id, plan.key, strict=False):
            self.blockers += obstacles.of_source_id(
                path, target, name, part, self.spec.name, self.databases.target
            )
            if target.column(name) is None:
                yield steps.add_source_id(plan.name, target, name, part, self._collation(table, part))
        indexed = target.indexes if target.kind == "p" else tuple(key.columns for key in target.keys)
        if plan.source_id and plan.source_id not in indexed:
            yield steps.add_index(plan.name, target, plan.source_id)
        if plan.is_migrated:
            self.blockers += obstacles.of_flag(path, target, plan.is_migrated)
            if target.column(plan.is_migrated) is None:
                yield steps.add_flag(plan.name, target, plan.is_migrated)
        if plan.backref:
            self.blockers += obstacles.of_backref(path, table.source, plan)
            if plan.target_key and table.source.column(plan.backref) is None:
                yield steps.add_backref(plan.name, table.source, plan.backref, plan.target_key[0].type)

    def _collation(self, table: Resolved, part: KeyPart) -> str | None:
        """The source's own collation where both sides are one database, else one that is the same everywhere."""
        if not part.collatable:
            return None
        if table.spec.key_is_content:
            return 'pg_catalog."C"'
        found = table.source_column(part.column)
        return (found[1].collation if found else None) if self.databases.same else 'pg_catalog."C"'
