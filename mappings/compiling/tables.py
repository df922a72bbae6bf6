"""One table mapping against its live tables: columns, references, key and links, as a TablePlan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

import psycopg

from mappings.catalog import equality, fired
from mappings.catalog.types import INTEGERS
from mappings.compiling import projection, references, shared_targets, target_checks, walks
from mappings.compiling.columns import Compiler
from mappings.compiling.keys import collation, range_parts, source_id_names, source_key, target_key
from mappings.compiling.names.resolve import Databases, Resolved
from mappings.compiling.referring import assigned, several_parents
from mappings.expressions.parser import parse_expression
from mappings.language.spec import Column, MappingSpec
from mappings.plan.keys import KeyPart, TargetKey
from mappings.plan.references import Reference
from mappings.plan.table_plan import (
    Destination,
    Existing,
    Feed,
    Link,
    Other,
    TablePlan,
    TargetTriggers,
    Value,
    Woken,
)
from mappings.plan.table_plan import Sequence as OwnedSequence
from mappings.problems import Problem
from mappings.schema.kinds.indexes import index_name
from mappings.sql import Sql, compose, ident, joined, literal


@dataclass(frozen=True, slots=True)
class _Filled:
    """What a mapping fills in its target's rows, and by what they are told apart. mapped: the columns filled."""

    values: tuple[Value, ...]
    references: tuple[Reference, ...]
    mapped: set[str]
    source_id: tuple[str, ...]
    target_key: tuple[TargetKey, ...]


@dataclass
class TablePlans:
    """Makes the plans of a mapping's tables; what is wrong is added to `blockers`.

    copying: by table, those that bring keys which its own new rows must not get (references.counting); first: those
    that go before it for any other reason than a reference (references.first).
    """

    spec: MappingSpec
    databases: Databases
    compilers: dict[str, Compiler]
    deferred: set[tuple[str, str]]
    copying: dict[str, set[str]]
    first: dict[str, set[str]]
    blockers: list[Problem]
    keys: dict[str, tuple[KeyPart, ...]] = field(init=False)

    def __post_init__(self) -> None:
        self.keys = {
            name: self._collated(name, source_key(compiler)) for name, compiler in self.compilers.items()
        }

        for name, compiler in self.compilers.items():
            if compiler.table.itself:
                _leave_copies_out(compiler, source_id_names(self.spec, name, self.keys[name]))

    def _collated(self, name: str, key: tuple[KeyPart, ...]) -> tuple[KeyPart, ...]:
        """The key with the collations of the source ids, as they are in the target or will be."""
        table, same = self.compilers[name].table, self.databases.same
        ids = [table.target.column(one) for one in source_id_names(self.spec, name, key)]
        return tuple(
            replace(part, collation=collation(table, part, there, same), collatable_there=same)
            if part.collatable
            else part
            for part, there in zip(key, [*ids, *[None] * len(key)], strict=False)
        )

    def plan(self, name: str, rows: int) -> TablePlan:
        """The plan of one table; rows: how many source rows are in scope."""
        table, filled = self.compilers[name].table, self._filled(name)
        self.blockers += target_checks.of_table(table, filled.references, filled.target_key)
        into = self._into(name, filled)
        moved = TablePlan(
            name=name,
            source=table.source.display,
            target=table.target.display,
            values=filled.values,
            references=filled.references,
            parents=references.parents(name, self.spec, self.deferred, self.first.get(name, set())),
            feed=self._feed(name, rows),
            into=into,
            link=self._link(name, filled, shared=bool(into.overwriters)),
            firing=self._firing(table),
        )
        walk = self._walk(table, moved)
        return replace(moved, feed=replace(moved.feed, walk=walk.walk, walk_why=walk.why))

    def _walk(self, table: Resolved, moved: TablePlan) -> walks.Chosen:
        written = (
            {other.table.target.oid for other in self.compilers.values()} if self.databases.same else set()
        )
        chosen = walks.choose(table, moved.feed.key, self.databases, written=written, moved=moved)
        self.blockers += chosen.problems
        return chosen

    def _filled(self, name: str) -> _Filled:
        compiler = self.compilers[name]
        values = tuple(compiler.values())
        refs = tuple(
            ref
            for column in compiler.table.spec.columns
            if column.parents or column.is_assigned
            for ref in self._reference(compiler, column)
        )
        mapped = {value.target for value in values} | {ref.target for ref in refs}
        mapped |= {column.name for column in compiler.table.spec.columns if column.is_assigned}
        source_id = source_id_names(self.spec, name, self.keys[name])
        return _Filled(values, refs, mapped, source_id, target_key(compiler.table, mapped))

    def _feed(self, name: str, rows: int) -> Feed:
        """How the rows are read, in the order of their keys as long as nobody chose another."""
        compiler, key = self.compilers[name], self.keys[name]
        table, spec, parts = compiler.table, compiler.table.spec, range_parts(key)
        return Feed(
            base_sql=projection.base_clause(table),
            from_sql=compiler.from_sql,
            where_sql=compiler.where_sql,
            order_sql=compose(", {}", table.bound_ordering(spec.order_by)) if spec.order_by else None,
            distinct=spec.distinct,
            key=key,
            key_is_content=spec.key_is_content,
            range_parts=parts,
            stepped=_stepped(table, key[:parts]),
            estimate=rows,
            source_sql=table.source.sql,
            alias=projection.alias(table),
        )

    def _into(self, name: str, filled: _Filled) -> Destination:
        table, key = self.compilers[name].table, filled.target_key
        tables = {other: compiled.table for other, compiled in self.compilers.items()}
        known = filled.mapped | {*filled.source_id, table.spec.is_migrated, *(part.column for part in key)}
        return Destination(
            target_sql=table.target.sql,
            target_key=key,
            existing=self._existing(table, filled.mapped),
            serial=table.spec.existing is not None or table.spec.triggers is not None,
            overriding=any(column.identity for column in table.target.columns),
            sequences=tuple(_sequences(table, filled.mapped)),
            ahead=tuple(self._ahead(name)),
            drawn=tuple(_drawn(table, filled.mapped)),
            others=tuple(_others(table, known)),
            overwriters=tuple(shared_targets.overwriters(name, self.spec, tables)) if key else (),
        )

    def _link(self, name: str, filled: _Filled, *, shared: bool) -> Link:
        """shared: other tables of the mapping update the same rows."""
        table, link = self.compilers[name].table, self.compilers[name].table.spec.link
        foreign = target_checks.foreign_source_id(table.target, filled.source_id, self.databases.target)
        by_map = not filled.source_id or table.spec.existing is not None
        by_map = by_map or bool((foreign or shared) and filled.target_key)
        collated = any(part.collatable for part in self.keys[name])
        return Link(
            source_id=filled.source_id,
            is_migrated=table.spec.is_migrated,
            keep_map=link.map or by_map,
            link_by="map" if by_map else "source_id",
            backref=link.backref,
            aligned=self.databases.same or table.spec.key_is_content or not collated,
            woken=_woken(table),
            backref_key=_backref_key(table),
            same_ids=link.same_ids,
        )

    def _firing(self, table: Resolved) -> TargetTriggers:
        hushed = target_checks.hushed(table)
        early = (trigger for trigger in table.target.triggers if trigger.early and table.target.is_owned)
        return TargetTriggers(
            triggers=tuple(trigger for trigger in early if trigger not in hushed),
            fires=bool(fired.of_table(self.databases.target, table.target.oid)),
            hushed=hushed,
        )

    def _ahead(self, name: str) -> Iterator[OwnedSequence]:
        for other in sorted(self.copying.get(name, ())):
            filled = {column.name for column in self.compilers[other].table.spec.columns}
            yield from _sequences(self.compilers[other].table, filled)

    def _reference(self, compiler: Compiler, column: Column) -> list[Reference]:
        """The compiled reference, one for each parent that may be meant; none where a parent itself has problems."""
        if column.is_assigned:
            key = self.keys[compiler.table.spec.name]
            self.blockers += assigned.known_too_late(compiler.table, column, self.spec, self.deferred)
            result = assigned.reference(compiler, column, key, self.spec.on_error)
            return [result] if result else []
        parents = {
            ref.table: several_parents.Parent(self.compilers[ref.table], self.keys[ref.table])
            for ref in column.parents
            if self.keys.get(ref.table)
        }
        late = (compiler.table.spec.name, column.name) in self.deferred
        return several_parents.references_of(compiler, column, parents, late, self.spec.on_error)

    def _existing(self, table: Resolved, mapped: set[str]) -> Existing | None:
        result = table.spec.existing
        if result is None:
            return None
        on_target, on_row = [], []
        for number, text in enumerate(result.match):
            path = f"{table.path}.existing.match[{number}]"
            names = {column.name for column in parse_expression(text).columns}
            for name in sorted(names - mapped):
                self.blockers.append(
                    Problem(path, f"{name} is not a mapped column of {table.target.display}")
                )
            for name in sorted(name for name in names if (table.spec.name, name) in self.deferred):
                late = (
                    f"{name} refers to a table that waits for this one, so it is filled only after all rows are in,"
                    " and rows cannot be found by it; match by columns that are known before"
                )
                self.blockers.append(Problem(path, late))
            on_target.append(table.bound_match(text, "t").sql)
            on_row.append(table.bound_match(text, "w").sql)
        return Existing(tuple(on_target), tuple(on_row), result.then, self._operators(table, on_target))

    def _operators(self, table: Resolved, on_target: list[Sql]) -> tuple[str, ...]:
        """Of what each match expression yields; a wrong one is complained of where it is tried."""
        matched = [compose("({})", sql) for sql in on_target]
        query = projection.select(matched, compose("{} AS t", table.target.sql))
        try:
            return equality.of_query(self.databases.target, query)
        except psycopg.Error:
            return ()


def _stepped(table: Resolved, parts: tuple[KeyPart, ...]) -> bool:
    """Whether an index of the source leads to the next key without a scan."""
    columns = [part.column for part in parts]
    return any(list(index[: len(columns)]) == columns for index in table.source.indexes)


def _leave_copies_out(compiler: Compiler, source_id: Sequence[str]) -> None:
    """Rows of the same table that have a source id are no originals. Its column may not be there yet."""
    for name in source_id[:1]:
        copied = compose("(to_jsonb({}.*) ->> {}) IS NULL", ident(compiler.table.alias), literal(name))
        compiler.where_sql = joined(" AND ", [part for part in (compiler.where_sql, copied) if part])


def _backref_key(table: Resolved) -> str:
    """The name of the foreign key that the back-reference is."""
    link = table.spec.link
    return index_name(table.source.name, (link.backref,), "fkey") if link.backref and link.foreign_key else ""


def _woken(table: Resolved) -> Woken | None:
    triggers = tuple(trigger for trigger in table.source.triggers if trigger.update)
    return Woken(table.source.sql, triggers) if table.spec.link.backref and triggers else None


def _others(table: Resolved, filled: AbstractSet[str | None]) -> Iterator[Other]:
    for column in table.target.columns:
        if column.name not in filled and not column.generated and column.identity != "a":
            yield Other(column.name, column.base)


def _sequences(table: Resolved, columns: AbstractSet[str]) -> Iterator[OwnedSequence]:
    """What counts in these columns; not where it is only a part of a text that the default makes."""
    for column in table.target.columns:
        if column.counter and column.name in columns and column.base in INTEGERS:
            yield OwnedSequence(column.counter, column.name, bool(column.counts_up))


def _drawn(table: Resolved, mapped: set[str]) -> Iterator[OwnedSequence]:
    """What new rows count by, where an index says at once how far the rows have come that are there."""
    leading = {columns[0] for columns in table.target.indexes} - mapped
    return _sequences(
        table, {c.name for c in table.target.columns if c.name in leading and c.may_set_counter}
    )
