"""What became of the source rows, in the JSON of a run: nothing is left out, and nothing counted twice."""

from __future__ import annotations

import pytest

from jobs.models import Run
from jobs.reporting.summary import summary
from tests.journeys.world import World, fresh, work

SOURCE = """
CREATE TABLE item (id int PRIMARY KEY, label text, day text);
INSERT INTO item SELECT n, 'l' || n, '2024-01-01' FROM generate_series(1, 100) n;
UPDATE item SET day = 'never' WHERE id IN (55, 56, 57);
"""
TARGET = """
CREATE TABLE thing (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, label text, day date);
INSERT INTO thing (label) VALUES ('l3'), ('own');
"""


def counts(run: Run) -> tuple[int, ...]:
    """(source_rows, inserted, updated, kept, quarantined, map_rows)."""
    (table,) = summary(fresh(run))["tables"]
    return tuple(
        table[name] for name in ("source_rows", "inserted", "updated", "kept", "quarantined", "map_rows")
    )


@pytest.mark.parametrize(
    ("existing", "inserted", "updated", "kept"),
    [("", 97, 0, 0), ("existing: {match: [label], then: update},", 96, 1, 0),
     ("existing: {match: [label], then: keep},", 96, 0, 1)],
)  # fmt: skip
def test_source_rows_are_what_became_of_them(
    world: World, existing: str, inserted: int, updated: int, kept: int
) -> None:
    world.source(SOURCE)
    world.target(TARGET)
    world.define(
        "version: 1\nname: stock\non_error: quarantine\ntables:\n  - {name: item, source: item, target: thing,"
        f" {existing}\n     columns: {{label: label, day: {{expr: 'day::date'}}}}}}"
    )
    first = world.started()
    assert first.status == "verified", first.error
    assert counts(first) == (100, inserted, updated, kept, 3, 97)
    world.source("INSERT INTO item SELECT n, 'l' || n, '2024-01-01' FROM generate_series(101, 110) n")
    world.source("UPDATE item SET day = '2024-01-01' WHERE id = 55")
    second = work(world.start())
    assert second.status == "verified", second.error
    # Its own counts are of the rows that it brought; the map has those of the run before as well.
    assert counts(second) == (110, 11, 0, 0, 2, 108)
