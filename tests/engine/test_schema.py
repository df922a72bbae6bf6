"""Schema steps, each there, back, and there again; what is in their way is named, or goes away in time."""

from __future__ import annotations

import psycopg
import pytest

from jobs.engine import schema
from jobs.engine.errors import StepFailed
from mappings.plan import Step
from tests.engine.rig import Rig, columns

ITEM = "CREATE TABLE item (id integer PRIMARY KEY, label text); INSERT INTO item VALUES (1, repeat('x', 30))"
THING = "CREATE TABLE thing (id serial PRIMARY KEY, label varchar(20))"
MAP = "{source: old.item, target: new.thing, link: {backref: new_id}, columns: {label: label}}"


def step_of(rig: Rig, kind: str, side: str = "target") -> Step:
    """One step of that kind, after the steps before it."""
    for step in rig.plan.steps:
        if (step.kind, step.side) == (kind, side):
            return step
        apply(rig, step)
    raise AssertionError(f"no {kind}")


def apply(rig: Rig, step: Step) -> bool:
    return schema.apply(rig.sides, rig.plan, 1, step, print)


def undo_last(rig: Rig) -> str:
    return schema.undo(rig.sides, schema.applied(rig.target, "rig")[0], print)


@pytest.fixture
def prepared(rig: Rig) -> Rig:
    """A target whose column is too small, in a run that has not begun to change it."""
    rig.old(ITEM)
    rig.new(THING)
    rig.planned(MAP)
    rig.register()
    return rig


KINDS = [("widen", "target"), ("add_column", "target"), ("add_index", "target"), ("add_column", "source")]


@pytest.mark.parametrize(("kind", "side"), KINDS)
def test_there_and_back_and_there_again(prepared: Rig, kind: str, side: str) -> None:
    step = step_of(prepared, kind, side)
    conn = prepared.sides.of(step.side)
    before = columns(conn, step.relation)
    assert apply(prepared, step)
    after = columns(conn, step.relation)
    assert after != before
    assert undo_last(prepared) == ""
    assert columns(conn, step.relation) == before
    assert apply(prepared, step)
    assert columns(conn, step.relation) == after


@pytest.mark.parametrize(("kind", "side"), KINDS)
def test_what_is_in_force_is_not_done_again(prepared: Rig, kind: str, side: str) -> None:
    step = step_of(prepared, kind, side)
    assert apply(prepared, step)
    assert not apply(prepared, step)


def test_all_steps_and_all_undone_leave_the_table_as_it_was(prepared: Rig) -> None:
    before = columns(prepared.target, "new.thing"), columns(prepared.source, "old.item")
    for step in prepared.plan.steps:
        apply(prepared, step)
    for done in schema.applied(prepared.target, "rig"):
        assert schema.undo(prepared.sides, done, print) == ""
    assert (columns(prepared.target, "new.thing"), columns(prepared.source, "old.item")) == before
    assert schema.applied(prepared.target, "rig") == []


def test_a_generated_column_survives_the_widening_of_what_it_is_made_from(rig: Rig) -> None:
    rig.old(ITEM)
    rig.new(
        "CREATE TABLE thing (id serial PRIMARY KEY, label varchar(20),"
        " loud text GENERATED ALWAYS AS (upper(label)) STORED); INSERT INTO thing (label) VALUES ('was here')"
    )
    rig.planned(MAP)
    rig.register()
    apply(rig, step_of(rig, "widen"))
    assert rig.new("SELECT label, loud FROM thing") == [("was here", "WAS HERE")]
    assert undo_last(rig) == ""
    assert rig.new("SELECT label, loud FROM thing") == [("was here", "WAS HERE")]


def test_a_width_that_rows_need_is_kept_and_said(prepared: Rig) -> None:
    apply(prepared, step_of(prepared, "widen"))
    prepared.new("INSERT INTO thing (label) VALUES (repeat('x', 21))")
    assert "was kept" in undo_last(prepared)
    assert ("label", "character varying(255)") in columns(prepared.target, "new.thing")


LARGE = "INSERT INTO thing (label) SELECT n FROM generate_series(1, 10001) n; ANALYZE thing"


def test_an_invalid_index_left_behind_is_dropped_and_built_anew(rig: Rig) -> None:
    rig.old(ITEM)
    rig.new(f"{THING}; {LARGE}")
    rig.planned(MAP)
    rig.register()
    step = step_of(rig, "add_index")
    assert step.alone
    rig.new("UPDATE thing SET source_table_id = 1 WHERE id <= 2")
    with pytest.raises(psycopg.errors.UniqueViolation):
        rig.target.execute(step.sql[0].encode())
    rig.new("UPDATE thing SET source_table_id = NULL")
    assert next(valid for name, valid in columns(rig.target, "new.thing") if step.name in name).startswith(
        "false"
    )
    assert apply(rig, step)
    assert next(valid for name, valid in columns(rig.target, "new.thing") if step.name in name).startswith(
        "true"
    )


def test_a_unique_index_that_cannot_be_built_fails_the_step(rig: Rig) -> None:
    rig.old(ITEM)
    rig.new(
        f"{THING}; ALTER TABLE thing ADD source_table_id int; INSERT INTO thing (source_table_id) VALUES (1), (1)"
    )
    rig.planned(MAP)
    rig.register()
    with pytest.raises(StepFailed, match="could not create unique index"):
        apply(rig, step_of(rig, "add_index"))


def test_a_step_waits_for_a_lock_and_says_who_holds_it(prepared: Rig) -> None:
    step = step_of(prepared, "widen")
    said: list[str] = []
    with psycopg.connect(prepared.pair.target) as holder:
        holder.execute("SELECT count(*) FROM new.thing")

        def wait(reason: str) -> None:
            said.append(reason)
            holder.rollback()

        assert schema.apply(prepared.sides, prepared.plan, 1, step, wait)
        pid = holder.info.backend_pid
    assert len(said) == 1
    assert (
        f"locked by pid {pid}, user postgres, idle in transaction: SELECT count(*) FROM new.thing" in said[0]
    )


@pytest.mark.faults
def test_a_step_gives_up_when_the_lock_stays(prepared: Rig) -> None:
    step = step_of(prepared, "widen")
    before = columns(prepared.target, "new.thing")
    with psycopg.connect(prepared.pair.target) as holder:
        holder.execute("SELECT count(*) FROM new.thing")
        with pytest.raises(
            StepFailed, match=rf"locked by pid {holder.info.backend_pid}, .*; 6 tries were made"
        ):
            apply(prepared, step)
    assert columns(prepared.target, "new.thing") == before
    assert schema.applied(prepared.target, "rig") == []
