"""Rollbacks that meet something: rows changed since, rows of others, a death half-way, rows that need the width."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.actions import runs as actions
from jobs.engine.errors import StepFailed
from jobs.engine.feed import Work
from jobs.engine.moving import undo
from jobs.engine.schema import apply
from jobs.engine.target.ledger import Done, Ticket
from jobs.running import perform_chunk
from mappings.problems import Refused
from tests.journeys.conftest import ONE_LAYOUT
from tests.journeys.gate import closed_gate
from tests.journeys.processes import Processes, ended, horse_of, kill
from tests.journeys.stock import BY_PAGES, MAPPING, open_stock
from tests.journeys.world import NewWorld, World, fresh, said, work

EVERYTHING = "SELECT 'client', c::text FROM crm.client c UNION ALL SELECT 'sale', s::text FROM crm.sale s"


def refusal(world: World, run: object) -> list[str]:
    """What a rollback is refused for; the run stays as it is."""
    with pytest.raises(Refused) as refused:
        actions.roll_back(fresh(run), None)  # type: ignore[arg-type]
    assert fresh(run).status == "verified"  # type: ignore[arg-type]
    return [str(problem) for problem in refused.value.problems]


@ONE_LAYOUT
def test_rows_changed_since_are_listed_and_stay(shop: World) -> None:
    run = shop.started()
    shop.target("UPDATE crm.sale SET total = 0 WHERE source_table_id IN (7, 8)")
    rows = shop.target(EVERYTHING)
    assert refusal(shop, run) == ["orders: 2 rows were changed since the run, for example source rows 7, 8"]
    assert shop.target(EVERYTHING) == rows


@ONE_LAYOUT
def test_force_takes_changed_rows_as_well(shop: World) -> None:
    run = shop.started()
    shop.target("UPDATE crm.sale SET total = 0 WHERE source_table_id IN (7, 8)")
    assert shop.rolled_back(run, force=True).status == "rolled_back"
    assert shop.target("SELECT count(*) FROM crm.sale") == [(1,)]


@ONE_LAYOUT
def test_a_register_that_was_altered_undoes_nothing(shop: World) -> None:
    run = shop.started()
    shop.target(
        "UPDATE migrator.schema_step SET undo = undo || 'DROP TABLE crm.sale'::text"
        " WHERE id = (SELECT max(id) FROM migrator.schema_step)"
    )
    rows = shop.target(EVERYTHING)
    for force in (False, True):
        with pytest.raises(
            Refused, match=r"the register in the target was altered after run .* --keep-schema"
        ):
            actions.roll_back(fresh(run), None, force=force)
    assert shop.target(EVERYTHING) == rows
    actions.roll_back(fresh(run), None, keep_schema=True)
    assert work(run).status == "rolled_back"
    assert shop.target("SELECT count(*) FROM crm.sale") == [(1,)]


@ONE_LAYOUT
def test_rows_of_others_that_point_to_the_runs_are_listed(shop: World) -> None:
    run = shop.started()
    shop.target(
        "INSERT INTO crm.sale (client_id, total) SELECT id, 5 FROM crm.client WHERE source_table_id = 1"
    )
    assert refusal(shop, run) == ["customer: 1 row of crm.sale that the run did not bring points to its rows"]


@ONE_LAYOUT
def test_rows_of_a_table_outside_the_mapping_that_point_to_the_runs_are_listed(shop: World) -> None:
    run = shop.started()
    shop.target(
        "CREATE TABLE crm.note (client bigint REFERENCES crm.client);"
        "INSERT INTO crm.note SELECT id FROM crm.client WHERE source_table_id <= 3"
    )
    assert refusal(shop, run) == ["customer: 3 rows of crm.note that the run did not bring point to its rows"]


@ONE_LAYOUT
def test_rows_that_were_there_before_and_changed_do_not_stand_in_the_way(shop: World) -> None:
    run = shop.started()
    shop.target("UPDATE crm.client SET email = 'new@example.org' WHERE NOT is_migrated")
    assert shop.rolled_back(run).status == "rolled_back"
    assert shop.target("SELECT email FROM crm.client") == [("new@example.org",)]


@ONE_LAYOUT
def test_a_width_that_newer_rows_need_is_kept_and_said(shop: World) -> None:
    run = shop.started()
    shop.target("INSERT INTO crm.client (full_name) VALUES (repeat('x', 40))")
    assert shop.rolled_back(run).status == "rolled_back"
    assert [step.note for step in run.steps.filter(backward=True, state="kept")] == [
        "rows that are not this mapping's need it, so it was kept"
    ]
    assert shop.target("SELECT count(*) FROM crm.client WHERE length(full_name) = 40") == [(1,)]


@pytest.mark.parametrize("mapping", [MAPPING, BY_PAGES], ids=["keys", "pages"])
def test_a_rollback_whose_worker_is_killed_half_way_continues(
    new_world: NewWorld, processes: Processes, mapping: str
) -> None:
    stock = open_stock(new_world("two"), mapping)
    before = stock.shape()
    run = stock.started()
    assert run.status == "verified"
    run.tables.update(chunk_rows=10_000)
    worker = processes.worker()
    processes.sweeper()
    with closed_gate(stock.pair.target, "thing", "OLD.number = 12345", "DELETE") as gate:
        actions.roll_back(fresh(run), None)
        gate.wait_for_somebody()
        kill(horse_of(worker))
    assert ended(run) == "rolled_back"
    assert stock.target("SELECT count(*) FROM thing") == [(0,)]
    assert stock.target("SELECT count(*) FROM migrator.migration_map") == [(0,)]
    assert stock.shape() == before


def test_steps_that_are_undone_after_a_stop_stand_beside_those_before_it(
    shop: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, undone, undo_step = shop.started(), [], apply.undo

    def stops_once(sides: apply.Sides, step: apply.Applied, wait: Any) -> str:
        undone.append(step.title)
        if len(undone) == 3:
            raise StepFailed("somebody holds the lock")
        return undo_step(sides, step, wait)

    monkeypatch.setattr(apply, "undo", stops_once)
    assert shop.rolled_back(run).status == "failed"
    actions.retry(fresh(run), None)
    assert work(run).status == "rolled_back"
    titles = [f"Undo: {title}" for title in dict.fromkeys(undone)]
    assert [(step.title, step.state) for step in run.steps.filter(backward=True)] == [
        (title, "done") for title in titles
    ]
    assert len(titles) > 3


def test_a_rollback_can_be_paused_and_resumed(shop: World) -> None:
    run = shop.started()
    actions.roll_back(fresh(run), None)
    actions.pause(fresh(run), None)
    assert work(run).status == "paused"
    actions.resume(fresh(run), None)
    assert work(run).status == "rolled_back"
    assert shop.target("SELECT count(*) FROM crm.sale") == [(1,)]


def test_a_rollback_finds_its_rows_where_the_map_was_rewritten_meanwhile(
    shop: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.started()
    shop.rolled_back(shop.mapping.runs.get())  # its dead rows are what moves the next run's
    run = shop.started()
    moved: list[int] = []

    def undo_chunk(taken: Work, ticket: Ticket) -> Done:
        if not moved:
            shop.target("VACUUM FULL migrator.migration_map")
        moved.append(ticket.chunk)
        return undo.undo_chunk(taken, ticket)

    monkeypatch.setitem(perform_chunk.ENGINE, "undo", undo_chunk)
    assert shop.rolled_back(run).status == "rolled_back"
    assert shop.target("SELECT count(*) FROM migrator.migration_map") == [(0,)]
    assert shop.target("SELECT count(*) FROM crm.sale") == [(1,)]


def test_a_flag_that_two_mappings_share_goes_with_neither_ones_rows_alone(new_world: NewWorld) -> None:
    world = new_world("one")
    world.source(
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); INSERT INTO a VALUES (1)"
    )
    world.source("INSERT INTO b VALUES (2); CREATE TABLE both_of (n int)")
    runs = []
    for name in ("a", "b"):
        link = f"link: {{source_id: {name}_id}}"
        world.define(
            f"version: 1\nname: of-{name}\ntables: [{{source: {name}, target: both_of, {link}, columns: {{n: id}}}}]"
        )
        runs.append(world.started())
    assert world.rolled_back(runs[0]).status == "rolled_back"
    assert world.target("SELECT b_id, is_migrated, n FROM both_of") == [(2, True, 2)]
    assert any("rows that are not this mapping's need it" in text for text in said(runs[0]))
    assert world.rolled_back(runs[1]).status == "rolled_back"
