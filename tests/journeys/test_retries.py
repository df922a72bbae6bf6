"""A retry looks first: what another run brought meanwhile is neither brought again nor set aside."""

from __future__ import annotations

import pytest

from jobs.actions import runs as actions
from jobs.models import Run
from mappings.models import Environment
from mappings.problems import Refused
from tests.journeys.conftest import ONE_LAYOUT
from tests.journeys.world import World, fresh, reported, work

SOURCE = """
CREATE TABLE item (id int PRIMARY KEY, label text, day text);
INSERT INTO item SELECT n, 'l' || n, '2024-01-01' FROM generate_series(1, 100) n;
UPDATE item SET day = 'never' WHERE id IN (55, 56, 57);
"""
TARGET = """
CREATE TABLE thing (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, label text, day date);
INSERT INTO thing (label) VALUES ('l3'), ('own');
"""
OPTIONS = {
    "ids": "",
    "no map": "link: {map: false},",
    "map alone": "link: {source_id: false}, is_migrated: false,",
    "existing": "existing: {match: [label], then: update},",
}
POLICIES = {"stop": "on_error: stop", "quarantine": "on_error: quarantine\nmax_quarantined: 2"}
MENDED = "UPDATE item SET day = '2024-01-01'"
BOTH = "SELECT count(*) FROM migrator.migration_map JOIN migrator.quarantine USING (mapping, table_name, source_key)"


def failed(world: World, options: str, policy: str) -> Run:
    """A run that failed at its sixth chunk of ten."""
    world.source(SOURCE)
    world.target(TARGET)
    world.define(
        f"version: 1\nname: stock\n{POLICIES[policy]}\ntables:\n  - {{name: item, source: item, target: thing,"
        f" {OPTIONS[options]}\n     columns: {{label: label, day: {{expr: 'day::date'}}}}}}"
    )
    run = world.start()
    run.tables.update(chunk_rows=10)
    run = work(run)
    assert run.status == "failed"
    return run


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("options", OPTIONS)
def test_a_retry_after_another_run_brought_the_rest_brings_nothing_twice(
    world: World, options: str, policy: str
) -> None:
    first = failed(world, options, policy)
    world.source(MENDED)
    second = world.started()
    assert second.status == "verified", second.error
    rows = world.target("SELECT t::text FROM thing t ORDER BY id")
    actions.retry(fresh(first), None)
    assert work(first).status == "verified", (fresh(first).error, reported(first))
    assert world.target("SELECT t::text FROM thing t ORDER BY id") == rows
    assert world.target("SELECT count(*) FROM migrator.quarantine") == [(0,)]
    assert sum(run.tables.get().inserted for run in (first, second)) == (99 if options == "existing" else 100)
    for run in (second, first):
        assert world.rolled_back(run).status == "rolled_back"
    assert world.target("SELECT label FROM thing ORDER BY id") == [("l3",), ("own",)]


@pytest.mark.parametrize("options", ["ids", "existing"])
def test_a_row_that_arrived_once_and_is_set_aside_later_is_one_of_both(world: World, options: str) -> None:
    world.source(SOURCE)
    world.target(TARGET)
    world.define(
        "version: 1\nname: stock\non_error: quarantine\ntables:\n  - {name: item, source: item, target: thing,"
        f" {OPTIONS[options]}\n     columns: {{label: label, day: {{expr: 'day::date'}}}}}}"
    )
    first = world.started()
    assert (first.status, first.tables.get().quarantined) == ("verified", 3)
    world.target("DELETE FROM thing WHERE label IN ('l7', 'l8')")
    world.source("UPDATE item SET day = 'lost' WHERE id = 7")
    second = world.started()
    assert second.status == "verified", (second.error, second.reports.first())
    assert (second.tables.get().quarantined, world.target(BOTH)) == (4, [(0,)])
    checks = {check["title"]: check for check in reported(second)[0]["checks"]}
    assert checks["No row is in the target and set aside as well"]["passed"]
    world.target("INSERT INTO migrator.quarantine SELECT mapping, table_name, '9', run, '', '', '', NULL, at FROM"
                 " migrator.quarantine LIMIT 1")  # fmt: skip
    actions.verify(fresh(second), None)
    assert work(second).status == "mismatch"
    checks = {check["title"]: check for check in reported(second)[0]["checks"]}
    assert (
        checks["No row is in the target and set aside as well"]["detail"] == "1 rows are both, for example 9"
    )
    world.target("DELETE FROM migrator.quarantine WHERE source_key = '9'")
    for run in (second, first):
        assert world.rolled_back(run).status == "rolled_back"


@ONE_LAYOUT
def test_a_second_environment_on_one_target_is_told_whose_run_holds_it(world: World) -> None:
    first = failed(world, "ids", "stop")
    other = Environment(name="twin")
    other.source_url, other.target_url = world.pair
    other.save()
    refused = rf"^run {first.pk} of stock in environment local is failed, and local leads to the same target database"
    with pytest.raises(Refused, match=refused):
        actions.start(world.mapping, other, None)
    Run.objects.filter(pk=first.pk).update(environment=other)  # as a run of before this was refused
    with pytest.raises(Refused, match=rf"^run {first.pk} of stock in environment twin is failed"):
        actions.start(world.mapping, world.environment, None)
    assert Run.objects.count() == 1
    world.rolled_back(first)
    assert actions.start(world.mapping, world.environment, None).status == "queued"


@ONE_LAYOUT
def test_a_target_with_rows_of_another_installations_environment_is_not_shared(world: World) -> None:
    run = failed(world, "ids", "stop")
    world.target("UPDATE migrator.run SET uid = gen_random_uuid(), environment = 'elsewhere'")
    Run.objects.filter(pk=run.pk).delete()
    with pytest.raises(
        Refused, match=rf"^run {run.pk} of stock in environment elsewhere has rows in this target"
    ):
        actions.start(world.mapping, world.environment, None)
