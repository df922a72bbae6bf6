"""A revision and live catalogs in, a Plan out: everything that can be known before the start."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from mappings import catalog, databases, obstacles, projection, references, steps
from mappings.compiling import Compiler
from mappings.measuring import Finding, measure, widened_table
from mappings.models import Environment, Revision
from mappings.plan import Existing, KeyPart, Measure, Plan, Reference, Sequence as OwnedSequence, Step, TablePlan, Value
from mappings.problems import Problem, Refused
from mappings.resolving import Databases, Resolved, resolve
from mappings.spec import MappingSpec
from mappings.store import revision_spec

PLANNING_TIMEOUT_MS = 120_000
"""How long one statement of planning may take, scans for measuring included."""


def make_plan(revision: Revision, environment: Environment, tables: Sequence[str] | None = None) -> Plan:
    """Compiles a revision for an environment. Raises Refused where a database cannot be reached."""
    spec = revision_spec(revision)
    with connected(environment) as found:
        return Planning(spec, found, tables).plan(revision.number, revision.sha256, environment.name)


@contextmanager
def connected(environment: Environment) -> Iterator[Databases]:
    """Both databases of an environment, for reading."""
    options = {"purpose": "planning", "read_only": True, "statement_timeout_ms": PLANNING_TIMEOUT_MS}
    try:
        source = databases.connect(environment.source_url, **options)
        target = databases.connect(environment.target_url, **options)
    except databases.DatabaseUnreachable as error:
        raise Refused([Problem("", str(error))]) from error
    with source, target:
        yield Databases(source, target, databases.identity(source) == databases.identity(target))


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
            warnings=tuple(self.warnings),
            blockers=tuple(self.blockers),
            next_run=obstacles.next_run(self.databases.target),
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
                compiler.value(number, column)
        if compiler.problems:
            return Finding(0, (), {})
        finding = measure(table, compiler, self.spec.widen, self.warnings)
        self.measures += finding.measures
        self.widening.setdefault(table.target.sql, {}).update(finding.widened)
        return finding

    def _widened(self, table: Resolved) -> Resolved:
        return replace(table, target=widened_table(table.target, self.widening.get(table.target.sql, {})))

    def _tables(self, resolved: dict[str, Resolved], findings: dict[str, Finding]) -> list[TablePlan]:
        deferred = references.deferred_columns(self.spec, resolved)
        names = references.order(self.spec, deferred, self.blockers)
        names = [name for name in names if name in resolved]
        keys = {name: Compiler(table, self.databases, self.blockers).key() for name, table in resolved.items()}
        return [self._table(resolved[name], resolved, keys, deferred, findings[name].rows) for name in names]

    def _table(
        self,
        table: Resolved,
        resolved: dict[str, Resolved],
        keys: dict[str, tuple[KeyPart, ...]],
        deferred: set[tuple[str, str]],
        rows: int,
    ) -> TablePlan:
        spec = table.spec
        compiler = Compiler(table, self.databases, self.blockers)
        values: list[Value] = []
        refs: list[Reference] = []
        for number, column in enumerate(spec.columns):
            if column.ref:
                parent = resolved.get(column.ref.table)
                late = (spec.name, column.name) in deferred
                if parent and keys[column.ref.table]:
                    key = keys[column.ref.table]
                    found = references.reference(compiler, column, parent, key, late, self.spec.on_error)
                    refs += [found] if found else []
            elif value := compiler.value(number, column):
                values.append(value)
        key = keys[spec.name]
        self.blockers += obstacles.of_table(table, refs)
        self.blockers += obstacles.of_key(table, key, compiler, self.databases)
        return self._assemble(table, compiler, key, values, refs, rows, deferred)

    def _assemble(
        self,
        table: Resolved,
        compiler: Compiler,
        key: tuple[KeyPart, ...],
        values: list[Value],
        refs: list[Reference],
        rows: int,
        deferred: set[tuple[str, str]],
    ) -> TablePlan:
        spec = table.spec
        source_id = source_id_names(self.spec, spec.name, key)
        keep_map = spec.link.map or not source_id or spec.existing is not None
        mapped = {value.target for value in values} | {ref.target for ref in refs}
        parts = range_parts(key)
        columns = [part.column for part in key[:parts]]
        order = f", {projection.parse_ordering(spec.order_by).sql}" if spec.order_by else ""
        return TablePlan(
            name=spec.name,
            source=table.source.display,
            target=table.target.display,
            target_sql=table.target.sql,
            base_sql=projection.base_clause(table),
            from_sql=compiler.from_sql,
            where_sql=compiler.where_sql,
            order_sql=order or None,
            distinct=spec.distinct,
            key=key,
            key_is_content=spec.key_is_content,
            range_parts=parts,
            stepped=any(list(index[:parts]) == columns for index in table.source.indexes),
            values=tuple(values),
            references=tuple(refs),
            target_key=compiler.target_key(mapped),
            source_id=source_id,
            is_migrated=spec.is_migrated,
            keep_map=keep_map,
            link_by="source_id" if source_id and spec.existing is None else "map",
            existing=self._existing(table, mapped),
            backref=spec.link.backref,
            source_key_columns=tuple(part.column for part in key),
            aligned=self.databases.same or spec.key_is_content or not any(part.collatable for part in key),
            serial=spec.existing is not None,
            overriding=any(column.identity for column in table.target.columns),
            sequences=tuple(_sequences(table, mapped)),
            parents=references.parents(spec.name, self.spec, deferred),
            estimate=rows,
        )

    def _existing(self, table: Resolved, mapped: set[str]) -> Existing | None:
        found = table.spec.existing
        if found is None:
            return None
        on_target, on_row = [], []
        for number, text in enumerate(found.match):
            path = f"{table.path}.existing.match[{number}]"
            names = {column.name for column in projection.parse_expression(text).columns}
            for name in sorted(names - mapped):
                self.blockers.append(Problem(path, f"{name} is not a mapped column of {table.target.display}"))
            on_target.append(projection.parse_expression(text, "t").sql)
            on_row.append(projection.parse_expression(text, "w").sql)
        return Existing(tuple(on_target), tuple(on_row), found.then)

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
            self.blockers += obstacles.of_widening(target, column, self.databases.target)
            yield steps.widen(plan.name, target, column, new_type)

    def _column_steps(self, plan: TablePlan, table: Resolved, target: catalog.Table) -> Iterator[Step]:
        path = table.path
        self.blockers += obstacles.of_link(path, plan)
        for name, part in zip(plan.source_id, plan.key, strict=False):
            self.blockers += obstacles.of_source_id(path, target, name, part, self)
            if target.column(name) is None:
                yield steps.add_source_id(plan.name, target, name, part, self._collation(table, part))
        if plan.source_id and plan.source_id not in {key.columns for key in target.keys}:
            if target.kind != "p" or plan.source_id not in target.indexes:
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


def _sequences(table: Resolved, mapped: set[str]) -> Iterator[OwnedSequence]:
    for column in table.target.columns:
        if column.sequence and column.name in mapped:
            yield OwnedSequence(column.sequence, column.name, bool(column.sequence_ascending))


def range_parts(key: tuple[KeyPart, ...]) -> int:
    """How many leading key parts are the source table's own, so that ranges of them cut it into chunks."""
    count = 0
    for part in key:
        if not part.in_base:
            break
        count += 1
    return count


def source_id_names(spec: MappingSpec, name: str, key: tuple[KeyPart, ...]) -> tuple[str, ...]:
    """The source-id columns of one table mapping, by the rules of the mapping file; () for none."""
    table = spec.table(name)
    if table.link.source_id is not None:
        return table.link.source_id
    target = projection.relation_key(table.target)
    shared = sum(projection.relation_key(other.target) == target for other in spec.tables) > 1
    stem = name if shared else "table"
    return (f"source_{stem}_id",) if len(key) == 1 else tuple(f"source_{stem}_{part.column}" for part in key)
