"""What stands against starting: each check returns the Problems it found, empty if none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet

import psycopg

from mappings import catalog, projection, registered
from mappings.compiling import Compiler
from mappings.plan import KeyPart, Reference, TablePlan, TargetKey
from mappings.planned_steps import Step
from mappings.problems import Problem
from mappings.resolving import Resolved
from mappings.steps import ANYTHING
from mappings.views import Views
from mappings.ways import offers

LONGEST_DEFINITION = 300
NOTICED_SECONDS = 2.0


def of_table(
    table: Resolved, refs: Sequence[Reference], target_key: Sequence[TargetKey]
) -> Iterator[Problem]:
    """Columns of the target that nothing fills, references that cannot be filled, rights that lack."""
    filled = {column.name for column in table.spec.columns}
    for column in table.target.columns:
        if column.not_null and column.name not in filled and not column.fills_itself:
            text = f"{table.target.display}.{column.name} is NOT NULL, has no default and is not mapped"
            yield Problem(f"{table.path}.columns", text)
    made = filled | {key.column for key in target_key if key.default}
    for ref in refs:
        if ref.parent == table.spec.name and not ref.deferred and ref.value_column not in made:
            text = f"{ref.value_column} is known only after its row is in, so a NOT NULL self-reference cannot use it"
            yield Problem(f"{table.path}.columns.{ref.target}", text)
    yield from _of_identities(table, filled - {key.column for key in target_key})
    if table.spec.existing and not target_key:
        text = (
            f"{table.target.display} has no primary key, nor a unique one that stays, to keep rows apart by"
        )
        yield Problem(f"{table.path}.existing", text)
    if table.target.is_partition:
        yield Problem(f"{table.path}.target", "this is a partition; name the partitioned table")
    for rule in table.target.rules:
        yield Problem(
            f"{table.path}.target",
            f"the target has a rule that may rewrite what is written or deleted: {rule}",
        )


def _of_identities(table: Resolved, filled: AbstractSet[str]) -> Iterator[Problem]:
    """filled: the mapped columns that are no key, which an update therefore overwrites."""
    updates = table.spec.existing is not None and table.spec.existing.then == "update"
    for column in table.target.columns:
        if updates and column.identity == "a" and column.name in filled:
            text = "this column is GENERATED ALWAYS AS IDENTITY, so an update of rows that are there cannot fill it"
            yield Problem(f"{table.path}.columns.{column.name}", text)


def key_is_promised(table: Resolved, key: tuple[KeyPart, ...]) -> bool:
    """Whether nobody has to look at the rows to know that the key tells them apart."""
    return not key or (table.spec.key_is_content and not table.spec.joins) or _promised(table, key)


def of_key(compiler: Compiler, key: tuple[KeyPart, ...]) -> Iterator[Problem]:
    """A key must tell source rows apart; where no index promises it, the data is asked."""
    table, source = compiler.table, compiler.databases.source
    if key_is_promised(table, key):
        return
    parts = [part.sql for part in key]
    nulls = " OR ".join(f"{part} IS NULL" for part in parts)
    path = f"{table.path}.key"
    try:
        if source.execute(_some(compiler, f"({nulls})")).fetchone():
            yield Problem(path, "some source rows in scope have NULL in their key")
        if not table.spec.distinct:
            twice = projection.select(parts, compiler.from_sql, compiler.where_sql)
            grouped = f"{twice}\n GROUP BY {', '.join(parts)} HAVING count(*) > 1 LIMIT 3"
            rows = source.execute(grouped).fetchall()
            if rows:
                keys = ", ".join(str(tuple(str(item) for item in row)) for row in rows)
                yield Problem(path, f"several source rows in scope have one key, for example {keys}")
    except psycopg.Error:
        return  # the projection itself is wrong, and that is a Problem of its own already


def _some(compiler: Compiler, condition: str) -> str:
    where = f"{compiler.where_sql} AND {condition}" if compiler.where_sql else condition
    return projection.select(["1"], compiler.from_sql, where, " LIMIT 1")


def _promised(table: Resolved, key: Iterable[KeyPart]) -> bool:
    """Whether a unique index over NOT NULL columns of the only source table is part of the key."""
    if table.spec.joins or (table.source.kind == "r" and table.source.has_children):
        return False  # what inherits a table has keys of its own
    names = {part.column for part in key}
    not_null = {column.name for column in table.source.columns if column.not_null}
    return any(set(unique.columns) <= names for unique in table.source.keys) and names <= not_null


def of_widening(
    target: catalog.Table, column: catalog.Column, set_expression: bool, over: Views
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
    path: str, target: catalog.Table, column: catalog.Column, set_expression: bool
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
    for found in (column for column in target.columns if column.name in names):
        if not set_expression and found.is_decorated:
            text = f"its generated column {found.name} has to be made again, and would lose its rights or comment"
            yield Problem(path, text)
        if set_expression and found.not_null and _is_bound(target, found):
            text = f"its generated column {found.name} is NOT NULL and bound by a constraint or unique index"
            yield Problem(path, f"{text}, so it cannot be taken off for a moment")


def _is_bound(target: catalog.Table, column: catalog.Column) -> bool:
    """Whether a value that all rows share for a moment could break a rule."""
    if column.category not in ANYTHING or any(column.name in key.columns for key in target.keys):
        return True
    kinds = ("check", "foreign key")
    return any(d.column == column.name and d.kind in kinds for d in target.dependents)


def _short(definition: str) -> str:
    """A definition on one line, cut where it is long."""
    line = " ".join(definition.split())
    return line if len(line) <= LONGEST_DEFINITION else f"{line[:LONGEST_DEFINITION]} …"


def of_changes(path: str, table: catalog.Table, steps: Sequence[Step]) -> Iterator[Problem]:
    """What stands against changing a table's columns and indexes at all."""
    mine = [step for step in steps if step.relation == table.sql]
    if not mine:
        return
    if not table.is_owned:
        yield Problem(
            path, f"{table.display} has to be changed, but belongs to a role that this one is not in"
        )
    if not table.may_index and any(step.kind == "add_index" for step in mine):
        yield Problem(
            path, f"an index is needed, but this role may not create anything in schema {table.schema}"
        )
    columns = [step for step in mine if step.kind in ("widen", "add_column")]
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
    path: str, conn: psycopg.Connection, target: catalog.Table, columns: tuple[str, ...], name: str
) -> Iterator[Problem]:
    """What a unique index that has to be built would meet: its name taken, or values that are there twice."""
    taken = conn.execute(
        "SELECT pg_get_indexdef(i.indexrelid), i.indisvalid AND i.indrelid = %s FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_index i ON i.indexrelid = c.oid"
        " WHERE n.nspname = %s AND c.relname = %s AND i.indisvalid IS NOT FALSE",
        [target.oid, target.schema, name],
    ).fetchone()
    if taken:
        found = f", and is another: {taken[0]}" if taken[0] else ""
        yield Problem(path, f"the index {target.schema}.{name} is needed, but that name is taken{found}")
    if target.kind == "p" or not all(target.column(column) for column in columns):
        return
    listed = ", ".join(projection.ident(column) for column in columns)
    known = " AND ".join(f"{projection.ident(column)} IS NOT NULL" for column in columns)
    twice = conn.execute(
        f"SELECT {listed} FROM {target.sql} WHERE {known} GROUP BY {listed} HAVING count(*) > 1 LIMIT 3".encode()
    ).fetchall()
    if twice:
        rows = "; ".join(", ".join(str(value) for value in row) for row in twice)
        text = f"a unique index on ({', '.join(columns)}) is needed, but {target.display} has rows that share"
        yield Problem(path, f"{text} {rows}")


def of_source_id(
    path: str, target: catalog.Table, name: str, part: KeyPart, mapping: str, conn: psycopg.Connection
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
    owner = registered.owner(conn, target.sql, name)
    if owner and owner != mapping:
        yield Problem(where, f"{target.display}.{name} belongs to mapping {owner}; name another column")


def foreign_source_id(target: catalog.Table, names: Sequence[str], conn: psycopg.Connection) -> bool:
    """Whether a source id column is the owner's own, so that rows may have values in it that no migration brought."""
    there = [name for name in names if target.column(name)]
    return any(registered.owner(conn, target.sql, name) is None for name in there)


def of_link(path: str, plan: TablePlan) -> Iterator[Problem]:
    """A migrated row must be found again, by its source id or by its key."""
    if not plan.source_id and not plan.target_key:
        text = f"{plan.target} has no key: a source id column is needed to find its rows again"
        yield Problem(f"{path}.link.source_id", text)


def of_rights(conn: psycopg.Connection) -> Iterator[Problem]:
    """What the target's role must be allowed in its database, whatever the mapping is."""
    row = conn.execute(
        "SELECT to_regnamespace('migrator') IS NOT NULL OR has_database_privilege(current_database(), 'CREATE'),"
        " has_database_privilege(current_database(), 'TEMPORARY'), current_database()"
    ).fetchone()
    assert row is not None
    *allowed, database = row
    for has, right, why in zip(
        allowed, ("CREATE", "TEMPORARY"), ("the schema migrator", "staging"), strict=True
    ):
        if not has:
            yield Problem("target", f"this role needs {right} on the database {database}, for {why}")


def of_parent(path: str, parent: TablePlan, target: catalog.Table) -> Iterator[Problem]:
    """A parent that is left out of the run must have been migrated before, if its rows are found by their source id."""
    if parent.link_by == "source_id" and not all(target.column(name) for name in parent.source_id):
        text = f"refers to rows of {parent.name}, which was never migrated and is not among the tables of this run"
        yield Problem(path, text)


def of_flag(path: str, target: catalog.Table, name: str) -> Iterator[Problem]:
    """The flag must be boolean if it is there already."""
    column = target.column(name)
    if column and column.base != "boolean":
        yield Problem(f"{path}.is_migrated", f"{target.display}.{name} is {column.type}, not boolean")


def of_backref(path: str, source: catalog.Table, plan: TablePlan) -> Iterator[Problem]:
    """The back-reference needs one target id and one source row to write it to."""
    where = f"{path}.link.backref"
    if len(plan.target_key) != 1:
        yield Problem(where, f"{plan.target} has no single key column to write back")
    elif source.kind not in "rp":
        yield Problem(where, f"{plan.source} is not a table that can get a column")
    elif (column := source.column(plan.backref or "")) and column.base != plan.target_key[0].type:
        yield Problem(
            where, f"{plan.source}.{column.name} is {column.type}, the target's id {plan.target_key[0].type}"
        )
    if plan.range_parts != len(plan.key):
        yield Problem(
            where, "the key has columns of a joined table, so a source row has no single target row"
        )


def next_run(conn: psycopg.Connection) -> int:
    """The first run number that no installation has used in this target."""
    if not _register_exists(conn, "run"):
        return 1
    row = conn.execute("SELECT coalesce(max(number), 0) + 1 FROM migrator.run").fetchone()
    return row[0] if row else 1


def _register_exists(conn: psycopg.Connection, table: str) -> bool:
    row = conn.execute("SELECT to_regclass(%s)", [f"migrator.{table}"]).fetchone()
    return bool(row and row[0])
