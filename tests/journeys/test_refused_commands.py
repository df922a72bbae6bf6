"""What is refused at the command line ends with exit status 2, before anything was changed."""

from __future__ import annotations

from io import StringIO

from django.core.management import call_command

from jobs.models import Run
from mappings.models import Environment
from tests.journeys.conftest import ONE_LAYOUT
from tests.journeys.world import World, fresh

SOURCE = "CREATE TABLE item (id int PRIMARY KEY, label text); INSERT INTO item VALUES (1, 'one'), (2, 'two')"
TARGET = "CREATE TABLE thing (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, label text)"
MAPPING = """
version: 1
name: stock
tables: [{source: item, target: thing, columns: {label: label}}]
"""


def ended(*args: str) -> tuple[object, str]:
    """(exit status, what was said) of `run` with these arguments."""
    said = StringIO()
    try:
        call_command("run", *args, stdout=said, stderr=said, no_color=True)
    except SystemExit as end:
        return end.code, said.getvalue()
    return 0, said.getvalue()


def migrated(world: World) -> Run:
    world.source(SOURCE)
    world.target(TARGET)
    world.define(MAPPING)
    run = world.started()
    assert run.status == "verified", run.error
    return run


@ONE_LAYOUT
def test_a_second_label_for_one_target(world: World) -> None:
    run = migrated(world)
    twin = Environment(name="twin")
    twin.source_url, twin.target_url = world.pair
    twin.save()
    code, said = ended("start", "stock", "--env", "twin")
    assert (code, Run.objects.count()) == (2, 1)
    assert f"run {run.pk} of stock in environment local" in " ".join(said.split()), said


@ONE_LAYOUT
def test_a_rollback_that_cannot_be_proved(world: World) -> None:
    run = migrated(world)
    world.target("DELETE FROM migrator.migration_map WHERE source_key = '2'")
    rows = world.target("SELECT t::text FROM thing t ORDER BY id")
    code, said = ended("rollback", str(run.pk))
    assert (code, fresh(run).status) == (2, "verified")
    assert "the map lists 1 of the 2" in " ".join(said.split()), said
    assert world.target("SELECT t::text FROM thing t ORDER BY id") == rows
