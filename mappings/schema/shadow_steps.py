"""Composes the safe way to widen a column of a table in use: a shadow column beside it, filled in chunks, swapped in.

Nobody waits but for moments: rows are filled in short transactions, indexes are built concurrently, constraints are
made NOT VALID and validated afterwards, and the swap changes the catalog only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mappings.catalog.column_dependents import Bound
from mappings.plan.schema_steps import Affected, Heaviness, Index, Step, StepKind, Weight
from mappings.schema import shadow_swap
from mappings.schema.lock_cost import EVERYBODY, of_backfill, of_index, of_scans
from mappings.schema.rename import renamed, renamed_index
from mappings.schema.shadow_column import (
    Change,
    costs,
    kept_in_step,
    not_null_check,
    not_ready,
    swapped,
    trigger,
)
from mappings.sql import dollar_quoted, ident, literal

FILLED, FILL_SECONDS = "migrator.filled", "migrator.fill_seconds"
"""Settings of the session that fills: how far it is, 'done' at the end; and after how long a call returns, '' for
never. They end with the session: a fill that was broken off reads what it filled already, and goes on."""

FIRST_BLOCKS, FEWEST_BLOCKS, MOST_BLOCKS = 64, 4, 2048
"""Pages of a chunk: doubled while it takes less than QUICK, halved where it takes more than SLOW."""

QUICK, SLOW = "0.1 s", "0.5 s"


LOCKS: dict[StepKind, str] = {
    "shadow_fill": "ROW EXCLUSIVE",
    "shadow_index": "SHARE UPDATE EXCLUSIVE",
    "shadow_validation": "SHARE UPDATE EXCLUSIVE",
}
"""What stands outside a transaction, under locks that let others read and write."""


def steps(change: Change) -> Iterator[Step]:
    """The steps in order; the last is the swap, which is undone as the plain way is."""
    yield _column(change)
    yield _fill(change)
    yield from (_index(change, one) for one in change.around.of("index"))
    if constraints := _constraints(change):
        yield constraints
    yield _validation(change)
    yield _swap(change)


def _step(
    change: Change,
    kind: StepKind,
    does: str,
    sql: tuple[str, ...],
    undo: tuple[str, ...] = (),
    *,
    weight: Weight,
    heaviness: Heaviness,
    name: str = "",
) -> Step:
    return replace(
        change.plain,
        kind=kind,
        name=name or change.shadow.name,
        title=f"Widen {change.target.display}.{change.column.name} the safe way: {does}",
        sql=sql,
        undo=undo,
        weight=weight,
        lock=LOCKS.get(kind, "ACCESS EXCLUSIVE"),
        alone=kind in LOCKS,
        fits="",
        heaviness=heaviness,
        affected=(),
        shadow=change.shadow,
    )


def _column(change: Change) -> Step:
    """The shadow, and the trigger that writes every new value to it, whoever writes: replication and COPY too."""
    table, shadow = change.target.sql, ident(change.shadow.name)
    body = f"BEGIN NEW.{shadow} := NEW.{ident(change.column.name)}; RETURN NEW; END"
    function, name = f"migrator.{shadow}()", ident(trigger(change.shadow.name))
    sql = (
        f"ALTER TABLE {table} ADD COLUMN {shadow} {change.plain.after}",
        f"CREATE OR REPLACE FUNCTION {function} RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp"
        f" AS {literal(body)}",
        f"CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}",
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}",
    )
    undo = (
        f"DROP TRIGGER IF EXISTS {name} ON {table}",
        f"DROP FUNCTION IF EXISTS {function}",
        f"ALTER TABLE {table} DROP COLUMN IF EXISTS {shadow}",
    )
    does = "add a column beside it, kept in step by a trigger"
    return _step(
        change, "shadow_column", does, sql, undo, weight="catalog only", heaviness=Heaviness(waits=EVERYBODY)
    )


FILL = """#variable_conflict use_column
DECLARE
  migrator_place bigint[] := string_to_array(nullif(current_setting('{filled}', true), ''), ' ')::bigint[];
  migrator_seconds double precision := nullif(current_setting('{fill_seconds}', true), '')::float8;
  migrator_began timestamptz := clock_timestamp();
  migrator_chunk_began timestamptz;
  migrator_blocks bigint := {first};
  migrator_low tid;
  migrator_high tid;
BEGIN
  IF {swapped} THEN
    PERFORM set_config('{filled}', 'done', false);
    RETURN;
  ELSIF NOT {kept_in_step} THEN
    {not_ready}
  END IF;
  migrator_place := coalesce(migrator_place, ARRAY[1, 0, {pages}]);
  LOOP
    IF migrator_place[2] >= migrator_place[3] THEN
      IF NOT EXISTS (SELECT FROM {table} WHERE {left}) THEN
        PERFORM set_config('{filled}', 'done', false);
        RETURN;
      END IF;
      migrator_place := ARRAY[migrator_place[1] + 1, 0, {pages}];
    END IF;
    migrator_chunk_began := clock_timestamp();
    migrator_low := format('(%s,0)', migrator_place[2])::tid;
    migrator_high := format('(%s,0)', migrator_place[2] + migrator_blocks)::tid;{silence}
    IF migrator_place[1] = 1 THEN -- rows that somebody holds just now are left for the second round
      UPDATE {table} SET {shadow} = {column} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table}
       WHERE ctid >= migrator_low AND ctid < migrator_high AND {left} FOR NO KEY UPDATE SKIP LOCKED));
    ELSE
      UPDATE {table} SET {shadow} = {column} WHERE ctid >= migrator_low AND ctid < migrator_high AND {left};
    END IF;
    migrator_place[2] := migrator_place[2] + migrator_blocks;
    PERFORM set_config('{filled}', array_to_string(migrator_place, ' '), false);
    COMMIT;
    IF clock_timestamp() < migrator_chunk_began + interval '{quick}' THEN
      migrator_blocks := least(migrator_blocks * 2, {most});
    ELSIF clock_timestamp() > migrator_chunk_began + interval '{slow}' THEN
      migrator_blocks := greatest(migrator_blocks / 2, {fewest});
    END IF;
    EXIT WHEN clock_timestamp() > migrator_began + make_interval(secs => migrator_seconds);
  END LOOP;
END"""
"""Walks the pages once, each chunk a transaction, and again while a row is left. Rows that are written meanwhile bring
their value along."""


def _fill(change: Change) -> Step:
    table = change.target.sql
    shadow, column = ident(change.shadow.name), ident(change.column.name)
    silence = "\n    PERFORM set_config('session_replication_role', 'replica', true);"
    body = FILL.format(
        filled=FILLED,
        fill_seconds=FILL_SECONDS,
        first=FIRST_BLOCKS,
        fewest=FEWEST_BLOCKS,
        most=MOST_BLOCKS,
        quick=QUICK,
        slow=SLOW,
        swapped=swapped(change),
        kept_in_step=kept_in_step(change),
        not_ready=not_ready(change),
        pages=f"pg_relation_size({literal(table)}::regclass) / current_setting('block_size')::bigint",
        table=table,
        left=f"{shadow} IS NULL AND {column} IS NOT NULL",
        shadow=shadow,
        column=column,
        silence=silence if change.around.silenced else "",
    )
    sql = (f"SET {FILLED} = ''", f"DO {dollar_quoted(body)}")
    does = "fill it, chunk by chunk"
    return _step(change, "shadow_fill", does, sql, weight="backfill", heaviness=of_backfill(change.target))


def _index(change: Change, one: Bound) -> Step:
    name = change.name(one)
    over = renamed_index(one.definition, change.around.printed, ident(change.shadow.name))
    index = Index(ident(name), f"{change.target.sql} USING {over}", one.is_unique)
    undo = (f"DROP INDEX IF EXISTS {ident(change.target.schema, name)}",)
    cost = of_index(change.target, concurrently=True)
    step = _step(
        change,
        "shadow_index",
        f"build {one.name} over it",
        (index.build(concurrently=True),),
        undo,
        weight="index build",
        heaviness=cost,
        name=name,
    )
    return replace(step, index=index)


def _constraints(change: Change) -> Step | None:
    """Checks and foreign keys as the column has them; NOT VALID: rows that are there are looked at later."""
    found = change.around.of("check", "foreign key", "foreign key of another")
    made = [(one.relation, change.name(one), _definition(change, one)) for one in found]
    if change.around.not_null:
        check = f"CHECK ({ident(change.shadow.name)} IS NOT NULL) NOT VALID"
        made.insert(0, (change.target.sql, not_null_check(change), check))
    if not made:
        return None
    adds = tuple(f"ALTER TABLE {table} ADD CONSTRAINT {ident(name)} {text}" for table, name, text in made)
    drops = tuple(
        f"ALTER TABLE IF EXISTS {table} DROP CONSTRAINT IF EXISTS {ident(name)}" for table, name, _ in made
    )
    cost = Heaviness(waits=EVERYBODY, also_locked=change.plain.heaviness.also_locked)
    return _step(
        change,
        "shadow_constraints",
        "make its constraints",
        adds,
        drops,
        weight="catalog only",
        heaviness=cost,
    )


def _definition(change: Change, one: Bound) -> str:
    printed, new = change.around.printed, ident(change.shadow.name)
    if one.kind == "check":
        text = renamed(one.definition, printed, new)
    elif one.kind == "foreign key":
        mine, rest = (renamed(part, printed, new) for part in (one.columns, one.definition))
        text = f"FOREIGN KEY ({mine}) REFERENCES {one.parent}({one.parent_columns}){rest}"
    else:
        theirs = renamed(one.parent_columns, printed, new)
        text = f"FOREIGN KEY ({one.columns}) REFERENCES {one.parent}({theirs}){one.definition}"
    return text if text.endswith((" NOT VALID", " NOT ENFORCED")) else f"{text} NOT VALID"


def _validation(change: Change) -> Step:
    """Each validation is a transaction, under a lock that lets others read and write."""
    valid = [
        (one.relation, change.name(one)) for one in change.around.bound if one.kind != "index" and one.valid
    ]
    if change.around.not_null:
        valid.insert(0, (change.target.sql, not_null_check(change)))
    each = "".join(
        f"  ALTER TABLE {table} VALIDATE CONSTRAINT {ident(name)};\n  COMMIT;\n" for table, name in valid
    )
    body = (
        f"BEGIN\n  IF {swapped(change)} THEN\n    RETURN;\n  END IF;\n{each}"
        f"  ANALYZE {change.target.sql};\nEND"
    )
    does = "validate its constraints, and analyse" if valid else "analyse"
    cost = of_scans(change.target, len(valid))
    weight: Weight = "table scan" if valid else "catalog only"
    return _step(
        change, "shadow_validation", does, (f"DO {dollar_quoted(body)}",), weight=weight, heaviness=cost
    )


def _swap(change: Change) -> Step:
    plain = change.plain
    cost = replace(plain.heaviness, waits=EVERYBODY, seconds=0.0, size=0, rebuilds=())
    title = f"{plain.title}, the safe way: swap the new column in"
    return replace(
        plain,
        title=title,
        sql=change.over.around(shadow_swap.statements(change)),
        weight="catalog only",
        heaviness=cost,
        affected=tuple(_affected(one) for one in plain.affected),
        way_around=f"taken: {costs(change)}",
    )


FATES = {
    "index": "is built anew beside it, concurrently, and takes its name over",
    "check": "is made anew beside it, validated while others write, and takes its name over",
    "foreign key": "is made anew beside it, validated while others write; both tables are locked for the swap",
    "statistics": "is made again; filled by ANALYZE",
    "sequence": "goes over to the new column",
}


def _affected(one: Affected) -> Affected:
    return replace(one, fate=FATES.get(one.kind, one.fate))
