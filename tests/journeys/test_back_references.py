"""Ids written into the source are held against the links by a verification, and the source against its fingerprint."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from jobs.actions import runs as actions
from jobs.reporting import summary
from tests.journeys.test_rollback_proofs import BEFORE, ROWS, SOURCE, TARGET
from tests.journeys.test_rollback_reports import ended, proved
from tests.journeys.world import World, fresh, work

MAPPING = (
    "version: 1\nname: people\ntables:\n  - {name: person, source: old.person, target: new.people, where: id < 40,"
    " link: {backref: new_id}, columns: {code: code, name: name}}"
)
CHECK = "Every back-reference in the source names the row's own target row"


@pytest.mark.parametrize("owners", [False, True])
def test_an_edited_back_reference_is_named_by_key(world: World, owners: bool, admin_client: Client) -> None:
    world.source(SOURCE)
    world.source("ALTER TABLE old.person ADD new_id bigint" if owners else "SELECT 1")
    world.target(TARGET)
    world.define(MAPPING)
    run = world.started()
    assert run.status == "verified", run.error
    world.source(
        "UPDATE old.person SET new_id = 999 WHERE id = 17; UPDATE old.person SET new_id = NULL WHERE id = 9"
    )
    actions.verify(fresh(run), None)
    run = work(run)
    assert run.status == "mismatch"
    told = summary.failed_checks(run.reports.first())
    detail = "2 of old.person.new_id do not, for example source rows 9, 17"
    assert told == [{"table": "person", "check": CHECK, "detail": detail}]
    assert f"different 17: new_id (at the source) should be {17 + 4}, is 999" in summary.text(run)
    assert f"different 9: new_id (at the source) should be {9 + 4}, is NULL" in summary.text(run)
    assert "999" in json.dumps(run.reports.latest("pk").tables)
    assert detail in admin_client.get(f"/runs/{run.pk}/report/").content.decode()
    kept = "SELECT source_key, column_name, expected, found FROM migrator.difference ORDER BY place"
    named = "new_id (at the source)"
    assert world.target(kept) == [("9", named, "13", None), ("17", named, "21", "999")]
    world.source("UPDATE old.person SET new_id = 13 WHERE id = 9")
    assert world.rolled_back(run).status == "rolled_back"
    source = proved(run).tables[1]
    assert (source.side, source.target, source.before, source.schema.state) == (
        "source",
        "old.person",
        0,
        "equal",
    )
    assert world.target(ROWS) == BEFORE
    if owners:  # what is not the run's own value is left alone, and said
        assert source.unexplained == ("1 rows have a back-reference, 0 had one then",)
        assert ended(run) == (3, "differs")
    else:
        assert (source.after, source.rows.state, ended(run)) == (0, "equal", (0, "done"))
