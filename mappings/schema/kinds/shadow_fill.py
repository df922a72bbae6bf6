"""The shadow column is filled from the old one, chunk by chunk, while everybody writes."""

from __future__ import annotations

from mappings.plan.schema_steps import Step
from mappings.schema.kinds.kind import Execution, T
from mappings.schema.kinds.preparing import Preparing
from mappings.schema.lock_cost import of_backfill
from mappings.schema.safe_change import Change, kept_in_step, not_ready, swapped
from mappings.sql import NOTHING, compose, dollar_quoted, ident, literal, verbatim

FILLED, FILL_SECONDS = verbatim("migrator.filled"), verbatim("migrator.fill_seconds")
"""Settings of the session that fills: how far it is, 'done' at the end; and after how long a call returns, '' for
never. They end with the session: a fill that was broken off reads what it filled already, and goes on."""

FIRST_BLOCKS, FEWEST_BLOCKS, MOST_BLOCKS = 64, 4, 2048
"""Pages of a chunk: doubled while it takes less than QUICK, halved where it takes more than SLOW."""

QUICK, SLOW = verbatim("0.1 s"), verbatim("0.5 s")


class ShadowFill(Preparing):
    """A block that commits after each chunk, called until no row is left."""

    name = "shadow_fill"
    lock = "ROW EXCLUSIVE"
    alone = True

    def carry_out(self, step: Step, by: Execution[T]) -> T:
        return by.until_done(step)


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


def fill_shadow(change: Change) -> Step:
    table = change.target.sql
    shadow, column = ident(change.shadow.name), ident(change.column.name)
    silence = verbatim("\n    PERFORM set_config('session_replication_role', 'replica', true);")
    body = compose(
        FILL,
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
        pages=compose(
            "pg_relation_size({table}::regclass) / current_setting('block_size')::bigint",
            table=literal(table),
        ),
        table=table,
        left=compose("{} IS NULL AND {} IS NOT NULL", shadow, column),
        shadow=shadow,
        column=column,
        silence=silence if change.dependents.silenced else NOTHING,
    )
    sql = (compose("SET {} = ''", FILLED), compose("DO {}", dollar_quoted(body)))
    does = "fill it, chunk by chunk"
    return ShadowFill().step(change, does, sql, weight="backfill", heaviness=of_backfill(change.target))
