"""Schema steps, each there, back, and there again; what is in their way is named, or goes away in time."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest

from jobs.engine.errors import StepFailed
from jobs.engine.schema import apply as schema
from mappings.plan.schema_steps import Step
from mappings.sql import verbatim
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


SOME = "INSERT INTO thing (label) VALUES ('was'), ('here')"


@pytest.fixture
def filled(rig: Rig) -> Rig:
    """The same, with rows in the target, so that the index is built concurrently; all steps before it are done."""
    rig.old(ITEM)
    rig.new(f"{THING}; {SOME}")
    rig.planned(MAP)
    rig.register()
    assert step_of(rig, "add_index").alone
    return rig


def index_of(rig: Rig) -> Step:
    return next(step for step in rig.plan.steps if step.kind == "add_index")


def is_valid(rig: Rig, step: Step) -> list[bool]:
    """Of the index by the step's name, if there is one."""
    return [text.startswith("true") for name, text in columns(rig.target, "new.thing") if step.name in name]


def test_an_invalid_index_left_behind_is_dropped_and_built_anew(filled: Rig) -> None:
    step = index_of(filled)
    filled.new("UPDATE thing SET source_table_id = 1")
    with pytest.raises(psycopg.errors.UniqueViolation):
        filled.target.execute(step.sql[0].encode())
    filled.new("UPDATE thing SET source_table_id = NULL")
    assert is_valid(filled, step) == [False]
    assert apply(filled, step)
    assert is_valid(filled, step) == [True]


def test_a_build_that_was_killed_is_made_again(filled: Rig) -> None:
    step = index_of(filled)
    with (
        psycopg.connect(filled.pair.target) as older,
        psycopg.connect(filled.pair.target, autocommit=True) as other,
    ):
        older.execute(
            "UPDATE new.thing SET label = label"
        )  # a build waits for it, after the index is in the catalog
        with ThreadPoolExecutor() as pool:
            building = pool.submit(schema.apply, filled.sides, filled.plan, 1, step, print)
            until(lambda: building.done() or is_there(other, step))
            other.execute("SELECT pg_terminate_backend(%s)", [filled.target.info.backend_pid])
            with pytest.raises(psycopg.OperationalError):
                building.result()
    filled.close()
    filled.reconnect()
    assert is_valid(filled, step) == [False]
    assert apply(filled, step)
    assert is_valid(filled, step) == [True]


def until(holds: Callable[[], bool]) -> None:
    """Waits for something that another session is about to do."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_there(conn: psycopg.Connection, step: Step) -> bool:
    """Whether the index is in the catalog already, as seen by another session."""
    return conn.execute("SELECT to_regclass(%s)", [f"new.{step.name}"]).fetchone() != (None,)


def test_a_valid_index_that_the_worker_died_over_is_taken_as_it_is(filled: Rig) -> None:
    step = index_of(filled)
    filled.target.execute(step.sql[0].encode())
    before = filled.new(f"SELECT '{step.name}'::regclass::oid")
    assert not apply(filled, step)
    assert filled.new(f"SELECT '{step.name}'::regclass::oid") == before
    assert schema.applied(filled.target, "rig")[0].sha256 == step.sha256


def test_another_index_of_that_name_is_left_alone(filled: Rig) -> None:
    step = index_of(filled)
    filled.new(f"CREATE INDEX {step.name} ON thing (label)")
    with pytest.raises(StepFailed, match="there is another index of that name"):
        apply(filled, step)
    assert is_valid(filled, step) == [True]


def test_a_unique_index_that_cannot_be_built_fails_the_step_and_leaves_nothing(filled: Rig) -> None:
    step = index_of(filled)
    filled.new("UPDATE thing SET source_table_id = 1")
    with pytest.raises(StepFailed, match=r"Key \(source_table_id\)=\(1\) is duplicated"):
        apply(filled, step)
    assert is_valid(filled, step) == []


def test_a_script_that_differs_from_the_applied_one_is_refused(prepared: Rig) -> None:
    step = step_of(prepared, "add_column")
    apply(prepared, step)
    other = replace(step, sql=(verbatim(step.sql[0].replace("integer", "bigint")),))
    with pytest.raises(StepFailed, match=f"applied another script for it .sha256 {step.sha256[:12]}, now"):
        apply(prepared, other)
    assert ("source_table_id", "integer") in columns(prepared.target, "new.thing")


def test_a_register_that_was_altered_is_refused(prepared: Rig) -> None:
    step = step_of(prepared, "add_column")
    apply(prepared, step)
    prepared.new("UPDATE migrator.schema_step SET sha256 = repeat('0', 64) WHERE kind = 'add_column'")
    with pytest.raises(StepFailed, match="the register in the target was altered"):
        apply(prepared, step)
    with pytest.raises(StepFailed, match="the register in the target was altered"):
        schema.undo(prepared.sides, schema.applied(prepared.target, "rig")[0], print)
    assert ("source_table_id", "integer") in columns(prepared.target, "new.thing")


def test_what_was_taken_away_by_hand_is_added_again(prepared: Rig) -> None:
    step = step_of(prepared, "add_column")
    apply(prepared, step)
    prepared.new("ALTER TABLE thing DROP COLUMN source_table_id")
    assert apply(prepared, step)
    assert undo_last(prepared) == ""
    assert [one.kind for one in schema.applied(prepared.target, "rig")] == ["widen"]


def test_a_column_widened_twice_goes_back_in_two_steps(prepared: Rig) -> None:
    first = step_of(prepared, "widen")
    apply(prepared, first)
    prepared.old("UPDATE item SET label = repeat('x', 300)")
    prepared.planned(MAP)
    second = prepared.plan.steps[0]
    assert (second.before, second.after) == ("character varying(255)", "character varying(500)")
    assert apply(prepared, second)
    assert not apply(prepared, second)
    for expected in ("character varying(255)", "character varying(20)"):
        assert undo_last(prepared) == ""
        assert ("label", expected) in columns(prepared.target, "new.thing")


def test_a_column_that_someone_changed_meanwhile_is_not_narrowed(prepared: Rig) -> None:
    prepared.new("ALTER TABLE thing ALTER label TYPE varchar(600)")
    with pytest.raises(
        StepFailed, match=r"the column is character varying\(600\) now, not character varying\(20\)"
    ):
        apply(prepared, step_of(prepared, "widen"))


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


def test_only_those_in_the_way_are_named(prepared: Rig) -> None:
    """Whoever waits in the queue before us is in the way as well; whoever waits behind, or reads elsewhere, is not."""
    step = step_of(prepared, "widen")
    url = prepared.pair.target
    with (
        psycopg.connect(url) as holder, psycopg.connect(url) as queued, psycopg.connect(url) as elsewhere,
        ThreadPoolExecutor() as pool,
    ):  # fmt: skip
        elsewhere.execute("SELECT count(*) FROM pg_class")
        holder.execute("LOCK TABLE new.thing IN ROW EXCLUSIVE MODE")
        waiting = pool.submit(queued.execute, "LOCK TABLE new.thing IN SHARE MODE")
        stands = f"SELECT 1 FROM pg_locks WHERE pid = {queued.info.backend_pid} AND NOT granted"
        until(lambda: bool(prepared.new(stands)))
        with pytest.raises(StepFailed) as failure:
            schema.apply(prepared.sides, prepared.plan, 1, step, print, tries=1)
        text = str(failure.value)
        assert text.index(f"pid {holder.info.backend_pid}, ") < text.index(f"pid {queued.info.backend_pid}, ")
        assert f"pid {elsewhere.info.backend_pid}, " not in text
        holder.rollback()
        waiting.result()
    assert text.endswith("; one try was made")


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
