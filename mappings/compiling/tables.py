"""One table mapping against its live tables: columns, references, key and links, as a TablePlan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

import psycopg

from mappings.catalog import equality, fired
from mappings.catalog.tables import Column as TableColumn
from mappings.catalog.types import INTEGERS
from mappings.compiling import projection, references, shared_targets, target_checks, walks
from mappings.compiling.columns import Compiler
from mappings.compiling.keys import DEFAULT_COLLATION, source_key, target_key
from mappings.compiling.referring import assigned, several_parents
from mappings.compiling.resolve import Databases, Resolved
from mappings.expressions.parser import parse_expression
from mappings.language.spec import Column, MappingSpec
from mappings.plan.keys import KeyPart, TargetKey
from mappings.plan.model import Existing, Other, TablePlan, Value, Woken
from mappings.plan.model import Sequence as OwnedSequence
from mappings.plan.references import Reference
from mappings.problems import Problem
from mappings.schema.kinds.indexes import index_name
from mappings.sql import Sql, compose, ident, joined, literal, verbatim


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

    copying: by table, those that bring keys which its own new rows must not get (references.counting).
    """

    spec: MappingSpec
    databases: Databases
    compilers: dict[str, Compiler]
    deferred: set[tuple[str, str]]
    copying: dict[str, set[str]]
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
            replace(part, collation=_collation(table, part, there, same), collatable_there=same)
            if part.collatable
            else part
            for part, there in zip(key, [*ids, *[None] * len(key)], strict=False)
        )

    def plan(self, name: str, rows: int) -> TablePlan:
        """The plan of one table; rows: how many source rows are in scope."""
        table, filled = self.compilers[name].table, self._filled(name)
        key, conn = filled.target_key, self.databases.target
        foreign = target_checks.foreign_source_id(table.target, filled.source_id, conn)
        tables = {other: compiled.table for other, compiled in self.compilers.items()}
        overwriters = tuple(shared_targets.overwriters(name, self.spec, tables)) if key else ()
        by_map = not filled.source_id or table.spec.existing is not None
        by_map = by_map or bool((foreign or overwriters) and key)
        self.blockers += target_checks.of_table(table, filled.references, key)
        hushed = target_checks.hushed(table)
        unfilled = _others(
            table, filled.mapped | {*filled.source_id, table.spec.is_migrated, *(k.column for k in key)}
        )
        moved = self._moved(name, filled, by_map, rows)
        walk = self._walk(table, moved)
        return replace(
            moved,
            walk=walk.walk,
            walk_why=walk.why,
            ahead=tuple(self._ahead(name)),
            drawn=tuple(_drawn(table, filled.mapped)),
            triggers=tuple(
                t for t in table.target.triggers if t.early and table.target.is_owned and t not in hushed
            ),
            hushed=hushed,
            backref_key=_backref_key(table),
            woken=_woken(table),
            fires=bool(fired.of_table(conn, table.target.oid)),
            others=tuple(unfilled),
            same_ids=table.spec.link.same_ids,
            overwriters=overwriters,
        )

    def _walk(self, table: Resolved, moved: TablePlan) -> walks.Chosen:
        written = (
            {other.table.target.oid for other in self.compilers.values()} if self.databases.same else set()
        )
        chosen = walks.choose(table, moved.key, self.databases, written=written, moved=moved)
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

    def _moved(self, name: str, filled: _Filled, by_map: bool, rows: int) -> TablePlan:
        """How the rows are read, and how they are written and found again; nothing yet of what else is there."""
        compiler, key = self.compilers[name], self.keys[name]
        table, spec, parts = compiler.table, compiler.table.spec, range_parts(key)
        return TablePlan(
            name=name,
            source=table.source.display,
            target=table.target.display,
            target_sql=table.target.sql,
            base_sql=projection.base_clause(table),
            from_sql=compiler.from_sql,
            where_sql=compiler.where_sql,
            order_sql=compose(", {}", table.bound_ordering(spec.order_by)) if spec.order_by else None,
            distinct=spec.distinct,
            key=key,
            key_is_content=spec.key_is_content,
            range_parts=parts,
            stepped=_stepped(table, key[:parts]),
            values=filled.values,
            references=filled.references,
            target_key=filled.target_key,
            source_id=filled.source_id,
            is_migrated=spec.is_migrated,
            keep_map=spec.link.map or by_map,
            link_by="map" if by_map else "source_id",
            existing=self._existing(table, filled.mapped),
            backref=spec.link.backref,
            aligned=self.databases.same or spec.key_is_content or not any(part.collatable for part in key),
            serial=spec.existing is not None or spec.triggers is not None,
            overriding=any(column.identity for column in table.target.columns),
            sequences=tuple(_sequences(table, filled.mapped)),
            parents=references.parents(name, self.spec, self.deferred, self.copying.get(name, set())),
            estimate=rows,
            source_sql=table.source.sql,
            alias=projection.alias(table),
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
            found = assigned.reference(compiler, column, key, self.spec.on_error)
            return [found] if found else []
        parents = {
            ref.table: several_parents.Parent(self.compilers[ref.table], self.keys[ref.table])
            for ref in column.parents
            if self.keys.get(ref.table)
        }
        late = (compiler.table.spec.name, column.name) in self.deferred
        return several_parents.references_of(compiler, column, parents, late, self.spec.on_error)

    def _existing(self, table: Resolved, mapped: set[str]) -> Existing | None:
        found = table.spec.existing
        if found is None:
            return None
        on_target, on_row = [], []
        for number, text in enumerate(found.match):
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
        return Existing(tuple(on_target), tuple(on_row), found.then, self._operators(table, on_target))

    def _operators(self, table: Resolved, on_target: list[Sql]) -> tuple[str, ...]:
        """Of what each match expression yields; a wrong one is complained of where it is tried."""
        matched = [compose("({})", sql) for sql in on_target]
        query = projection.select(matched, compose("{} AS t", table.target.sql))
        try:
            return equality.of_query(self.databases.target, query)
        except psycopg.Error:
            return ()


def _collation(table: Resolved, part: KeyPart, there: TableColumn | None, same: bool) -> Sql:
    """Of a source id that is there its own; else the source's where both sides are one database, or one that is the
    same everywhere."""
    if there:
        return there.collation or DEFAULT_COLLATION
    if table.spec.key_is_content or not same:
        return verbatim('pg_catalog."C"')
    found = table.source_column(part.column)
    return (found[1].collation if found else None) or DEFAULT_COLLATION


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
    if len(key) == 1:
        return (f"source_{stem}_id",)
    columns = [part.column for part in key]
    if len(set(columns)) < len(columns):  # joined tables may call them alike: a.id and b.id
        columns = [name.replace(".", "_", 1) for name in table.key or columns]
    return tuple(f"source_{stem}_{column}" for column in columns)
