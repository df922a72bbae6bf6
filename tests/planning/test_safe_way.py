"""Where a heavy change offers the safe way, and why it does not elsewhere."""

from __future__ import annotations

import pytest

from mappings.plan.text import as_text
from tests.planning.drawing import Board

MAP = "{source: old.item, target: new.thing, link: {source_id: false}, is_migrated: false, columns: {v: v}}"
BIG = "CREATE TABLE item (id int PRIMARY KEY, v bigint); INSERT INTO item VALUES (1, 3000000000)"
THING = "CREATE TABLE thing (id serial PRIMARY KEY, v int);"
ROW = "INSERT INTO thing (v) VALUES (1)"
TOUCH = """CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER {} BEFORE {} ON thing FOR EACH ROW EXECUTE FUNCTION touch();"""

BEFORE_SCANS = ("shadow_column", "shadow_index", "shadow_constraints")

AGAINST = {
    "the table is partitioned": "CREATE TABLE thing (id serial PRIMARY KEY, v int) PARTITION BY RANGE (id);"
    "CREATE TABLE part PARTITION OF thing DEFAULT;",
    "the table inherits, or is inherited": f"{THING} CREATE TABLE more () INHERITS (thing);",
    "generated column twice is made from it": "CREATE TABLE thing (id serial PRIMARY KEY, v int,"
    " twice int GENERATED ALWAYS AS (v * 2) STORED);",
    "exclusion constraint thing_v_excl is over it": f"{THING} ALTER TABLE thing ADD EXCLUDE (v WITH =);",
    "it is part of the replica identity": "CREATE TABLE thing (id serial PRIMARY KEY, v int NOT NULL UNIQUE);"
    "ALTER TABLE thing REPLICA IDENTITY USING INDEX thing_v_key;",
    "publication news sends the table, and its subscribers would need the new column": f"{THING}"
    "CREATE PUBLICATION news FOR TABLE thing;",
    "row security is forced on the table's owner": f"{THING} ALTER TABLE thing FORCE ROW LEVEL SECURITY;",
    "check odd was never made, so rows that break it could not be filled": f"{THING}"
    "ALTER TABLE thing ADD CONSTRAINT odd CHECK (id > 0) NOT VALID;",
    "trigger zz fires whoever writes, so also for every row that is filled": f"{THING} {TOUCH.format('zz', 'UPDATE')}"
    "ALTER TABLE thing ENABLE ALWAYS TRIGGER zz;",
    "trigger ~~ changes rows after the one that would keep the new column in step": f"{THING}"
    + TOUCH.format('"~~"', "INSERT"),
    "foreign key down_v_fkey is one of a partitioned table": f"{THING} ALTER TABLE thing ADD UNIQUE (v);"
    "CREATE TABLE down (v int REFERENCES thing (v)) PARTITION BY RANGE (v);",
    "default value for column id of table new.other draws from thing_v_seq, the sequence of its identity": "CREATE "
    "TABLE thing (id serial PRIMARY KEY, v int GENERATED ALWAYS AS IDENTITY);"
    "CREATE TABLE other (id int DEFAULT nextval('thing_v_seq'));",
    "constraint down_id_fkey on table new.down relies on thing_pkey, which holds the column as well": "CREATE TABLE "
    "thing (id serial, v int, PRIMARY KEY (id) INCLUDE (v)); CREATE TABLE down (id int REFERENCES thing);",
    "foreign key thing_v_fkey has it on both sides": f"{THING} ALTER TABLE thing ADD UNIQUE (v);"
    "ALTER TABLE thing ADD FOREIGN KEY (v) REFERENCES thing (v);",
}  # fmt: skip


@pytest.mark.parametrize("reason", AGAINST)
def test_what_stands_against_it_is_named(one: Board, reason: str) -> None:
    one.given(BIG, f"{AGAINST[reason]} {ROW.replace('(v)', '(v) OVERRIDING SYSTEM VALUE')}")
    for safe in (False, True):
        plan = one.plan(MAP, safe=safe)
        assert [step.kind for step in plan.steps] == ["widen"]
        assert f"the safe way: not possible: {reason}" in as_text(plan)
    assert f"the column cannot be widened the safe way: {reason}" in [
        warning.text for warning in plan.warnings
    ]


def test_triggers_that_fire_for_every_update_are_kept_still_while_rows_are_filled(one: Board) -> None:
    one.given(BIG, f"{THING} {TOUCH.format('touched', 'UPDATE')} {ROW}")
    fill = next(step for step in one.plan(MAP, safe=True).steps if step.kind == "shadow_fill")
    assert "set_config('session_replication_role', 'replica', true)" in fill.sql[1]


def test_it_is_offered_where_rows_are_rewritten_and_nowhere_else(one: Board) -> None:
    offer = "the safe way: possible, with --safe-widening"
    one.given(BIG, THING)
    assert [step.kind for step in one.plan(MAP, safe=True).steps] == [
        "widen"
    ]  # nobody waits for an empty table
    one.given("SELECT 1", ROW)
    assert offer in as_text(one.plan(MAP))
    safe = one.plan(MAP, safe=True)
    assert [step.kind for step in safe.steps] == [
        "shadow_column",
        "shadow_fill",
        "shadow_validation",
        "widen",
    ]
    assert safe.fingerprint == one.plan(MAP).fingerprint
    assert "a rollback brings back its type, not its place" in safe.warnings[0].text.lower()


def test_what_was_begun_is_ended_the_same_way(one: Board) -> None:
    one.given(BIG, f"{THING} {ROW}")
    column, *_ = one.plan(MAP, safe=True).steps
    one.given("SELECT 1", f"CREATE SCHEMA migrator; {'; '.join(column.sql)}")
    (blocker,) = one.blockers(MAP)
    assert "began to widen the column the safe way, and did not end: plan with --safe-widening" in blocker
    assert one.plan(MAP, safe=True).blockers == ()
    assert one.plan(MAP, safe=True).steps[0] == column


def test_what_stands_beside_another_column_for_a_while_is_not_taken_along(one: Board) -> None:
    both = MAP.replace("{v: v}", "{id: v, v: v}")
    one.given(BIG, "CREATE TABLE thing (id int PRIMARY KEY, v int REFERENCES thing, UNIQUE (v, id));"
              "INSERT INTO thing VALUES (1, 1)")  # fmt: skip
    scripts = {(step.kind, step.name): step.sql for step in one.plan(both, safe=True).steps}
    begun = [sql for (kind, name), sql in scripts.items() if name.startswith("id_") and kind in BEFORE_SCANS]
    made = "; ".join(statement.replace(" CONCURRENTLY", "") for sql in begun for statement in sql)
    one.given("SELECT 1", f"CREATE SCHEMA migrator; {made}")
    assert {(step.kind, step.name): step.sql for step in one.plan(both, safe=True).steps} == scripts
