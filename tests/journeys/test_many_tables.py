"""Hundreds of small tables: what is asked for a piece of work does not grow with them, and nobody is asked in vain."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.processes import seats
from jobs.running import ahead, claims, runner
from jobs.running.session import opened
from tests.journeys.acceptance import Promise
from tests.journeys.conftest import ONE_LAYOUT
from tests.journeys.stock import open_stock, paused_half_way
from tests.journeys.world import World, fresh, work

TABLES, ROWS = 24, 30
SHOWN = "u.unfinished"
"""What a survey of all tables of a run has in it, and nothing else."""


@pytest.fixture
def crowd(world: World) -> World:
    """Tables that have nothing to do with each other."""
    names = [f"small_{number}" for number in range(TABLES)]
    for name in names:
        fill = f"INSERT INTO {name} SELECT n, 'label ' || n FROM generate_series(1, {ROWS}) n"
        world.source(f"CREATE TABLE {name} (id int PRIMARY KEY, label text); {fill}")
        world.target(f"CREATE TABLE {name}_there (key bigserial PRIMARY KEY, label text)")
    lines = [f"  - {{source: {name}, target: {name}_there, columns: {{label: label}}}}" for name in names]
    promises = [
        Promise(
            "crowd", name, f"SELECT id::text, label FROM {name}",
            f"SELECT source_table_id::text, key::text, label FROM {name}_there",
        )
        for name in names
    ]  # fmt: skip
    world.define("\n".join(["version: 1", "name: crowd", "tables:", *lines]) + "\n", *promises)
    return world


def test_a_run_of_many_tables_is_not_surveyed_for_each_of_them(
    crowd: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "SECONDS", 60.0)
    run = crowd.start()
    with CaptureQueriesContext(connection) as asked:
        work(run)
    assert fresh(run).status == "verified" and crowd.complaints() == []
    surveys = [query for query in asked if SHOWN in query["sql"]]
    assert 0 < len(surveys) < TABLES / 2  # it was one for each chunk, and as many as tables twice over
    assert len(asked) < 40 * TABLES


@ONE_LAYOUT
def test_what_another_works_on_is_not_claimable_until_he_falls_silent(world: World) -> None:
    run = paused_half_way(open_stock(world))
    run.tables.update(chunk_rows=1_000_000)
    with opened(fresh(run), "first") as first, opened(fresh(run), "second") as second:
        (table,) = claims.surveyed(run)
        while table.claimable:
            assert claims.claim(first, table)
            (table,) = claims.surveyed(run)
        assert table.unfinished
        seats.abandon_claims("first")
        (table,) = claims.surveyed(run)
        assert table.claimable and claims.claim(second, table)


@ONE_LAYOUT
@pytest.mark.parametrize("change", ["pause", "cut"])
def test_what_was_seen_of_the_tables_holds_for_the_stage_alone_and_as_long_as_they_are_not_cut(
    crowd: World, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(ahead, "SECONDS", 60.0)
    run = crowd.start()
    with opened(fresh(run), "first") as first:
        prepared = runner._alone(first, runner._prepare)
        assert prepared and first.run.status == "copying"
        seen = ahead.Ahead()
        seen.note(first, claims.surveyed(first.run))
        assert seen.claim(first)
        if change == "cut":
            run.tables.update(cut_done=True)
        else:
            first.run.status = "verifying"
        assert seen.claim(first) is None
