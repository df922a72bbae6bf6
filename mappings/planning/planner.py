"""A revision and live catalogs in, a Plan out: everything that can be known before the start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from mappings.catalog import tables as catalog
from mappings.catalog import views
from mappings.catalog.fingerprints import fingerprint
from mappings.compiling import fired_functions, hidden_rows, references, shared_targets, target_checks
from mappings.compiling import structure as structures
from mappings.compiling.columns import Compiler
from mappings.compiling.keys import DEFAULT_COLLATION, source_key
from mappings.compiling.names.resolve import Databases, Resolved, resolve
from mappings.compiling.tables import TablePlans
from mappings.connections import sessions as databases
from mappings.fitting import measure_references
from mappings.fitting.dearest import TOO_SLOW, dearest
from mappings.fitting.measure_columns import Finding, Measuring, doubled_lookups
from mappings.fitting.widths import widened_table, wider
from mappings.language.spec import MappingSpec
from mappings.models import Environment, Revision
from mappings.plan.measures import Loss, Measure
from mappings.plan.model import Plan
from mappings.plan.schema_steps import Step
from mappings.plan.table_plan import TablePlan
from mappings.planning import backref_keys, limits, matching, parameters, rollback_cost
from mappings.planning import blockers as blockers_of
from mappings.planning import session_rights as rights_of
from mappings.planning.live_databases import connected, reading
from mappings.problems import Problem, Refused
from mappings.schema import own_schema, register, strategy
from mappings.schema.kinds.add_column import add_flag, add_source_id
from mappings.schema.kinds.add_index import add_index
from mappings.schema.kinds.widen import widen
from mappings.sql import Sql
from mappings.store import revision_spec

SET_EXPRESSION_SINCE = 170000  # PostgreSQL: ALTER COLUMN ... SET EXPRESSION


class TooLong(Exception):
    """Measuring would take longer than somebody should be kept waiting for."""


Gate = Callable[[Plan, Environment], Plan]
gates: list[Gate] = []
"""What rooms above this one add to each plan: approvals that are missing, as blockers."""

Tell = Callable[[str, int, int], None]
"""Told of a table (schema.name) that is measured now, how many were before it, and how many there are."""


def _tell_nobody(table: str, done: int, total: int) -> None:
    """Nobody wants to know."""


def make_plan(
    revision: Revision,
    environment: Environment,
    tables: Sequence[str] | None = None,
    tell: Tell = _tell_nobody,
    most: float | None = None,
    safe: bool = False,
    *,
    estimate: bool = False,
) -> Plan:
    """Compiles a revision for an environment; tell, most, safe and estimate as in Planning.

    Raises Refused where a database cannot be reached, TooLong where measuring would cost more than `most`.
    """
    spec = revision_spec(revision)
    with connected(environment, in_haste=estimate) as result:
        planning = Planning(spec, result, tables, tell, most, safe, estimate)
        plan = planning.plan(revision.number, revision.sha256, environment.name)
    return gated(plan, environment)


def gated(plan: Plan, environment: Environment) -> Plan:
    """The plan with what the rooms above have to say of it now."""
    for gate in gates:
        plan = gate(plan, environment)
    return plan


def next_run(plan: Plan, environment: Environment) -> Plan:
    """The plan with the first run number that is free in its target now."""
    with reading("target", environment.target_url) as target:
        return replace(plan, next_run=blockers_of.next_run(target))


@dataclass
class Planning:
    """One planning: collects problems instead of stopping at the first.

    tell: is told of each table before it is measured; most: what measuring may cost, None for no limit;
    safe: columns of tables with rows are widened without a long lock, where that can be had; estimate: tables that cost
    more than `most` in all are not measured, and the plan names them, instead of raising TooLong.
    """

    spec: MappingSpec
    databases: Databases
    only: Sequence[str] | None = None
    tell: Tell = _tell_nobody
    most: float | None = None
    safe: bool = False
    estimate: bool = False
    blockers: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    measures: list[Measure] = field(default_factory=list)
    widening: dict[str, dict[str, Sql]] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    unmeasured: tuple[str, ...] = ()

    def plan(self, number: int, sha256: str, environment: str) -> Plan:
        """The plan, with blockers if it cannot be started. TooLong where measuring would cost more than `most`."""
        if text := own_schema.complaint(self.databases.target):  # nothing can be read there
            raise Refused([Problem("target", text)])
        self._check_selection()
        self.blockers += parameters.without_value(self.spec, self.databases, environment)
        structure = structures.read(self.spec, self.databases)  # first: what changes meanwhile is then seen
        resolved = resolve(self.spec, self.databases, self.blockers)
        compilers = {table.spec.name: Compiler(table, self.databases, self.blockers) for table in resolved}
        live = {table.spec.name: table.target for table in resolved}
        findings = self._measure_all(compilers)
        for compiler in compilers.values():
            compiler.table = self._widened(compiler.table)
        tables = self._tables(compilers, findings)
        self._collect_steps(tables, compilers, live)
        self._look_for_objections(compilers, tables)
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
            next_run=blockers_of.next_run(self.databases.target),
            fingerprint=fingerprint(structure),
            structure=structure,
            losses=tuple(self.losses),
            parameters=parameters.with_values(self.spec, self.databases),
            estimated=tuple(name for name, result in findings.items() if result.estimated),
            unmeasured=self.unmeasured,
        )

    def _look_for_objections(self, compilers: dict[str, Compiler], tables: list[TablePlan]) -> None:
        """What the databases have against the plan, or let one know: rights, hidden rows, functions, the register."""
        self.blockers += rights_of.lacking(self.databases.target, compilers)
        for compiler in compilers.values():
            self.warnings += hidden_rows.of_children(compiler.table, self.databases)
            self.warnings += target_checks.about_triggers(compiler.table)
            self.blockers += target_checks.of_triggers(compiler.table)
            self.warnings += fired_functions.of_table(compiler.table, self.databases)
        self.warnings += rights_of.warnings(self.databases, compilers, self.steps)
        self.warnings += rollback_cost.warnings(self.databases.target, tables, self.only, compilers)
        self.blockers += register.problems(self.databases.target, self.spec.name, self.steps)

    def _check_selection(self) -> None:
        names = {table.name for table in self.spec.tables}
        for name in (name for name in self.only or () if name not in names):
            self.blockers.append(Problem("tables", f"there is no table {name} in this mapping"))

    def _measure_all(self, compilers: dict[str, Compiler]) -> dict[str, Finding]:
        sound = [compiler for compiler in compilers.values() if compiler.sound]
        measurings = [Measuring(compiler, source_key(replace(compiler, problems=[]))) for compiler in sound]
        too_long = dearest(measurings, self.most)
        if too_long and not self.estimate:
            raise TooLong
        findings = {name: Finding() for name in compilers}
        for number, measuring in enumerate(measurings):
            name = measuring.compiler.table.spec.name
            self.tell(measuring.compiler.table.source.display, number, len(measurings))
            findings[name] = measuring.estimate() if name in too_long else self._measure(measuring)
        self.unmeasured = tuple(name for name, result in findings.items() if result.unmeasured)
        for compiler in sound if not self.unmeasured else ():  # they may read any of the tables
            self._note(compiler.table, measure_references.measure(compiler, compilers, self.spec.widen))
        return findings

    def _measure(self, measuring: Measuring) -> Finding:
        finding = measuring.measure(self.spec.widen)
        if finding.unmeasured:
            self.warnings.append(Problem(measuring.compiler.table.path, TOO_SLOW))
        else:
            self._note(measuring.compiler.table, finding)
            self.warnings += measuring.collisions.problems()
        self.blockers += [
            *doubled_lookups(measuring.compiler),
            *target_checks.of_key(measuring.compiler, measuring.key),
        ]
        return finding

    def _note(self, table: Resolved, finding: Finding) -> None:
        self.measures += finding.measures
        self.warnings += finding.warnings
        self.blockers += finding.blockers
        self.losses += finding.losses
        widening = self.widening.setdefault(table.target.sql, {})
        for name, new_type in finding.widened.items():
            widening[name] = wider(widening.get(name, new_type), new_type)

    def _widened(self, table: Resolved) -> Resolved:
        return replace(table, target=widened_table(table.target, self.widening.get(table.target.sql, {})))

    def _tables(self, compilers: dict[str, Compiler], findings: dict[str, Finding]) -> list[TablePlan]:
        resolved = {name: compiler.table for name, compiler in compilers.items()}
        deferred = references.deferred_columns(self.spec, resolved)
        first = references.first(self.spec, resolved, copying := references.counting(self.spec, resolved))
        names = references.order(self.spec, deferred, first, self.blockers)
        self.warnings += shared_targets.warnings(self.spec, resolved)
        plans = TablePlans(self.spec, self.databases, compilers, deferred, copying, first, self.blockers)
        table_plans = [plans.plan(name, findings[name].rows) for name in names if name in compilers]
        self.blockers += shared_targets.blockers(resolved, table_plans)
        if not self.unmeasured:
            warned, blocked = matching.problems(table_plans, compilers, self.databases)
            self.warnings += warned
            self.blockers += blocked
        return table_plans

    def _collect_steps(
        self, tables: list[TablePlan], compilers: dict[str, Compiler], live: dict[str, catalog.Table]
    ) -> None:
        result: dict[tuple[str, str, str], Step] = {}
        for plan in tables:
            if self.only and plan.name not in self.only:
                continue
            target, table = live[plan.name], compilers[plan.name].table
            for step in (*self._widen_steps(plan, target), *self._column_steps(plan, table, target)):
                result.setdefault((step.relation, step.kind, step.name), step)
            for ref in plan.references:
                if ref.parent and ref.parent not in (self.only or [ref.parent]):
                    parent = next(other for other in tables if other.name == ref.parent)
                    where = f"{compilers[plan.name].table.path}.columns.{ref.target}"
                    self.blockers += blockers_of.of_parent(where, parent, live[parent.name])
        self.steps = list(result.values())
        paths = [compilers[plan.name].table.path for plan in tables]
        self.blockers += backref_keys.shared(self.databases, tables, paths)
        for plan in tables:
            table = compilers[plan.name].table
            self.blockers += blockers_of.of_changes(f"{table.path}.target", live[plan.name], self.steps)
            self.blockers += blockers_of.of_changes(f"{table.path}.source", table.source, self.steps)
            self.blockers += limits.of_table(f"{table.path}.target", live[plan.name], self.steps)
            self.blockers += limits.of_table(f"{table.path}.source", table.source, self.steps)
            self.blockers += limits.of_comparison(table.path, plan)

    def _widen_steps(self, plan: TablePlan, target: catalog.Table) -> Iterator[Step]:
        for name, new_type in self.widening.get(target.sql, {}).items():
            column = target.column(name)
            assert column is not None
            set_expression = self.databases.target.info.server_version >= SET_EXPRESSION_SINCE
            over = views.over(self.databases.target, target.sql, name)
            self.blockers += blockers_of.of_widening(target, column, set_expression, over)
            self.blockers += limits.of_operator_classes(self.databases.target, target, column, new_type)
            plain = widen(plan.name, target, column, new_type, set_expression, over)
            result = strategy.of(self.databases.target, target, column, plain, over, self.safe)
            self.blockers += result.blockers
            self.warnings += result.warnings
            for step in result.steps:
                self.warnings += blockers_of.of_heavy_step(step)
                yield step

    def _column_steps(self, plan: TablePlan, table: Resolved, target: catalog.Table) -> Iterator[Step]:
        path = table.path
        self.blockers += blockers_of.of_link(path, plan)
        for name, part in zip(plan.link.source_id, plan.feed.key, strict=False):
            self.blockers += blockers_of.of_source_id(
                path, target, name, part, self.spec.name, self.databases.target
            )
            if target.column(name) is None:
                collation = None if part.collation in ("", DEFAULT_COLLATION) else part.collation
                yield add_source_id(plan.name, target, name, part, collation)
        indexed = target.indexes if target.kind == "p" else tuple(key.columns for key in target.keys)
        if plan.link.source_id and plan.link.source_id not in indexed:
            step = add_index(plan.name, target, plan.link.source_id)
            where, conn = f"{path}.link.source_id", self.databases.target
            self.blockers += blockers_of.of_index(where, conn, target, plan.link.source_id, step.name)
            yield step
        if plan.link.is_migrated:
            self.blockers += blockers_of.of_flag(path, target, plan.link.is_migrated)
            if target.column(plan.link.is_migrated) is None:
                yield add_flag(plan.name, target, plan.link.is_migrated)
        if plan.link.backref:
            self.blockers += blockers_of.of_backref(path, table.source, plan)
            self.blockers += backref_keys.blockers(path, self.databases, table.source, target, plan)
            if plan.name not in self.unmeasured:
                self.blockers += blockers_of.of_preset_backref(
                    path, self.databases, table.source, plan, self.spec.name
                )
            yield from backref_keys.steps_of(plan, table.source, target)
