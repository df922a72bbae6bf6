"""What stands against starting: each check returns the Problems it found, empty if none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import psycopg

from mappings.catalog import tables
from mappings.catalog.views import Views
from mappings.compiling.names.resolve import Databases
from mappings.plan.keys import KeyPart
from mappings.plan.schema_steps import Step
from mappings.plan.table_plan import TablePlan
from mappings.problems import Problem
from mappings.schema import kinds, register
from mappings.schema.kinds.widen import ANYTHING
from mappings.schema.strategy import offers
from mappings.sql import compose, encoded, ident, joined

LONGEST_DEFINITION = 300
NOTICED_SECONDS = 2.0


def of_widening(
    target: tables.Table, column: tables.Column, set_expression: bool, over: Views
) -> Iterator[Problem]:
    """What PostgreSQL would not let the column's type change under, by name and definition.

    Plain views and generated columns are taken off by the step itself, where that can be done without loss.
    """
    path = f"{target.display}.{column.name}"
    for dependent in target.dependents:
        if dependent.column == column.name and dependent.refuses and dependent.kind != "view":
            text = f"the column must be widened, but {dependent.kind} {dependent.name} depends on it"
            yield Problem(path, f"{text}: {_short(dependent.definition)}")
    for problem in over.problems:
        yield Problem(path, f"the column must be widened, but {problem}")
    yield from _of_generated(path, target, column, set_expression)
    if column.name in target.partition_columns:
        yield Problem(path, "the column must be widened, but it is part of the partition key")
    if target.inherits:
        yield Problem(path, "the column must be widened, but the table inherits it")


def _of_generated(
    path: str, target: tables.Table, column: tables.Column, set_expression: bool
) -> Iterator[Problem]:
    """Generated columns lose their expression for a moment; before PostgreSQL 17 they are made anew."""
    names = {d.name for d in target.dependents if d.kind == "generated column" and d.column == column.name}
    for dependent in target.dependents:
        if dependent.column in names and not set_expression and dependent.kind != "index":
            text = f"its generated column {dependent.column} has to be made again, but {dependent.kind}"
            yield Problem(path, f"{text} {dependent.name} depends on that: {_short(dependent.definition)}")
    for index in target.index_definitions:
        if not set_expression and index.of_constraint and names & set(index.columns):
            text = "a generated column has to be made again, but a constraint uses it"
            yield Problem(path, f"{text}: {index.definition}")
    for result in (column for column in target.columns if column.name in names):
        if not set_expression and result.is_decorated:
            text = f"its generated column {result.name} has to be made again, and would lose its rights or comment"
            yield Problem(path, text)
        if set_expression and result.not_null and _is_bound(target, result):
            text = f"its generated column {result.name} is NOT NULL and bound by a constraint or unique index"
            yield Problem(path, f"{text}, so it cannot be taken off for a moment")


def _is_bound(target: tables.Table, column: tables.Column) -> bool:
    """Whether a value that all rows share for a moment could break a rule."""
    if column.category not in ANYTHING or any(column.name in key.columns for key in target.keys):
        return True
    kinds = ("check", "foreign key")
    return any(d.column == column.name and d.kind in kinds for d in target.dependents)


def _short(definition: str) -> str:
    """A definition on one line, cut where it is long."""
    line = " ".join(definition.split())
    return line if len(line) <= LONGEST_DEFINITION else f"{line[:LONGEST_DEFINITION]} …"


def of_changes(path: str, table: tables.Table, steps: Sequence[Step]) -> Iterator[Problem]:
    """What stands against changing a table's columns and indexes at all."""
    mine = [step for step in steps if step.relation == table.sql]
    if not mine:
        return
    if not table.is_owned:
        yield Problem(
            path, f"{table.display} has to be changed, but belongs to a role that this one is not in"
        )
    if not table.may_index and any(kinds.of(step).gives == "index" for step in mine):
        yield Problem(
            path, f"an index is needed, but this role may not create anything in schema {table.schema}"
        )
    columns = [step for step in mine if kinds.of(step).gives in ("type", "column")]
    if columns and table.is_typed:
        yield Problem(path, f"{table.display} is made of a type, which has to be changed instead")
    for dependent in table.dependents if columns else ():
        if dependent.kind == "row type":
            text = f"{table.display} has to be changed, but column {dependent.name} is of its row type"
            yield Problem(path, f"{text} ({dependent.definition})")


def of_heavy_step(step: Step) -> Iterator[Problem]:
    """A warning where others have to wait for longer than they would not notice."""
    if step.heaviness.seconds < NOTICED_SECONDS or step.lock != "ACCESS EXCLUSIVE":
        return
    cost = f"{step.weight} under an ACCESS EXCLUSIVE lock; {step.heaviness.waits}, for {step.heaviness.held}"
    around = "; there is a way around it, see the step" if offers(step) else ""
    yield Problem(f"{step.relation}.{step.name}", f"{step.title}: {cost}{around}")


def of_index(
    path: str, conn: psycopg.Connection, target: tables.Table, columns: tuple[str, ...], name: str
) -> Iterator[Problem]:
    """What a unique index that has to be built would meet: its name taken, or values that are there twice."""
    taken = conn.execute(
        "SELECT pg_get_indexdef(i.indexrelid), i.indisvalid AND i.indrelid = %s FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_index i ON i.indexrelid = c.oid"
        " WHERE n.nspname = %s AND c.relname = %s AND i.indisvalid IS NOT FALSE",
        [target.oid, target.schema, name],
    ).fetchone()
    if taken:
        result = f", and is another: {taken[0]}" if taken[0] else ""
        yield Problem(path, f"the index {target.schema}.{name} is needed, but that name is taken{result}")
    if target.kind == "p" or not all(target.column(column) for column in columns):
        return
    listed = joined(", ", (ident(column) for column in columns))
    known = joined(" AND ", (compose("{} IS NOT NULL", ident(column)) for column in columns))
    shared = compose(
        "SELECT {listed} FROM {target} WHERE {known} GROUP BY {listed} HAVING count(*) > 1 LIMIT 3",
        listed=listed,
        target=target.sql,
        known=known,
    )
    try:
        twice = conn.execute(encoded(shared)).fetchall()
    except psycopg.errors.InsufficientPrivilege:
        return  # rows are hidden, or may not be read: both are said of the table itself
    if twice:
        rows = "; ".join(", ".join(str(value) for value in row) for row in twice)
        text = f"a unique index on ({', '.join(columns)}) is needed, but {target.display} has rows that share"
        yield Problem(path, f"{text} {rows}")


def of_source_id(
    path: str, target: tables.Table, name: str, part: KeyPart, mapping: str, conn: psycopg.Connection
) -> Iterator[Problem]:
    """A column of that name may be there only if it is of the key's type and no other mapping's."""
    where = f"{path}.link.source_id"
    if len(name.encode()) > 63:
        yield Problem(where, f"the name {name} is longer than 63 bytes; give a shorter one in link.source_id")
    column = target.column(name)
    if column is None:
        return
    if column.base != part.type:
        yield Problem(where, f"{target.display}.{name} is {column.type}, but the key is {part.type}")
    owner = register.owner(conn, target.sql, name)
    if owner and owner != mapping:
        yield Problem(where, f"{target.display}.{name} belongs to mapping {owner}; name another column")


def of_link(path: str, plan: TablePlan) -> Iterator[Problem]:
    """A migrated row must be found again, by its source id or by its key."""
    if not plan.link.source_id and not plan.into.target_key:
        text = f"{plan.target} has no key: a source id column is needed to find its rows again"
        yield Problem(f"{path}.link.source_id", text)


def of_parent(path: str, parent: TablePlan, target: tables.Table) -> Iterator[Problem]:
    """A parent that is left out of the run must have been migrated before, if its rows are found by their source id."""
    if parent.link.link_by == "source_id" and not all(target.column(name) for name in parent.link.source_id):
        text = f"refers to rows of {parent.name}, which was never migrated and is not among the tables of this run"
        yield Problem(path, text)


def of_flag(path: str, target: tables.Table, name: str) -> Iterator[Problem]:
    """The flag must be boolean if it is there already."""
    column = target.column(name)
    if column and column.base != "boolean":
        yield Problem(f"{path}.is_migrated", f"{target.display}.{name} is {column.type}, not boolean")


def of_backref(path: str, source: tables.Table, plan: TablePlan) -> Iterator[Problem]:
    """The back-reference needs one target id and one source row to write it to."""
    where = f"{path}.link.backref"
    if len(plan.into.target_key) != 1:
        yield Problem(where, f"{plan.target} has no single key column to write back")
    elif source.kind not in "rp":
        yield Problem(where, f"{plan.source} is not a table that can get a column")
    elif (column := source.column(plan.link.backref or "")) and column.base != plan.into.target_key[0].type:
        yield Problem(
            where,
            f"{plan.source}.{column.name} is {column.type}, the target's id {plan.into.target_key[0].type}",
        )
    if plan.feed.range_parts != len(plan.feed.key):
        yield Problem(
            where, "the key has columns of a joined table, so a source row has no single target row"
        )


def of_preset_backref(
    path: str, databases: Databases, table: tables.Table, plan: TablePlan, mapping: str
) -> Iterator[Problem]:
    """A back-reference overwrites what is in its column, and a rollback empties it: it must be the mapping's own."""
    name, source, target = plan.link.backref or "", databases.source, databases.target
    if table.column(name) is None or register.owner(target, table.sql, name) == mapping:
        return
    if _register_exists(target, "ledger") and _has_linked(target, mapping, plan.name):
        return
    row = source.execute(
        encoded(
            compose(
                "SELECT count(*), ARRAY(SELECT {name}::text FROM {table} WHERE {name} IS NOT NULL LIMIT 3)"
                " FROM {table} WHERE {name} IS NOT NULL",
                name=ident(name),
                table=table.sql,
            )
        )
    ).fetchone()
    if row and row[0]:
        text = (
            f"{table.display}.{name} has values in {row[0]:,} rows that no run of this mapping wrote"
            f" ({', '.join(row[1])}), which would be overwritten; name another column, or empty this one"
        )
        yield Problem(f"{path}.link.backref", text)


def _has_linked(target: psycopg.Connection, mapping: str, table: str) -> bool:
    """Whether runs of the mapping that are not rolled back have written back-references of a table mapping."""
    row = target.execute(
        "SELECT EXISTS (SELECT FROM migrator.ledger AS l JOIN migrator.run AS r ON r.number = l.run"
        " WHERE r.mapping = %s AND r.rolled_back_at IS NULL AND l.table_name = %s AND l.phase = 'link')",
        [mapping, table],
    ).fetchone()
    return bool(row and row[0])


def next_run(conn: psycopg.Connection) -> int:
    """The first run number that no installation has used in this target."""
    if not _register_exists(conn, "run"):
        return 1
    row = conn.execute("SELECT coalesce(max(number), 0) + 1 FROM migrator.run").fetchone()
    return row[0] if row else 1


def _register_exists(conn: psycopg.Connection, table: str) -> bool:
    row = conn.execute("SELECT to_regclass(%s)", [f"migrator.{table}"]).fetchone()
    return bool(row and row[0])
