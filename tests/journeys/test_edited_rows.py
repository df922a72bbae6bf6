"""Rows that somebody edited after a run: its rollback refuses, leaves those with what they point to, or takes them."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client

from jobs.actions import runs as actions
from mappings.problems import Refused
from tests.journeys.conftest import ONE_LAYOUT
from tests.journeys.test_rollback_proofs import BEFORE, ROWS, opened
from tests.journeys.test_rollback_reports import proved, reported
from tests.journeys.world import World, fresh, work

LEFT = "SELECT table_name, source_key, why FROM migrator.left_row ORDER BY 1, source_key::int"
CLIENTS = "SELECT full_name FROM crm.client ORDER BY id"


def test_edited_rows_are_left_with_what_they_point_to(shop: World, admin_client: Client) -> None:
    before = shop.shape()
    run = shop.started()
    shop.target("UPDATE crm.sale SET total = 0 WHERE source_table_id IN (7, 8)")
    kept = shop.target(
        "WITH RECURSIVE held AS (SELECT client_id AS id FROM crm.sale WHERE source_table_id IN (7, 8)"
        " UNION SELECT c.sent_by FROM crm.client c JOIN held h ON c.id = h.id WHERE c.sent_by IS NOT NULL)"
        " SELECT full_name FROM crm.client JOIN held USING (id) ORDER BY id"
    )
    assert len(kept) > 2, "the clients of the two orders were sent by others"
    out = StringIO()
    call_command("run", "rollback", str(run.pk), "--preview", "--format", "json", stdout=out)
    preview = json.loads(out.getvalue())
    edited = {rows["table"]: (rows["edited"], rows["held"], rows["examples"]) for rows in preview["edited"]}
    assert edited == {"customer": (0, len(kept), []), "orders": (2, 0, ["7", "8"])}
    changed = "orders: 2 rows were changed since the run, for example source rows 7, 8"
    assert preview["refused"] == {"refuse": [changed], "leave": [], "force": []}
    page = admin_client.get(f"/runs/{run.pk}/rollback/").content.decode()
    assert 'value="leave"' in page and f"/runs/{run.pk}/row/?table=orders&amp;source=7" in page
    assert shop.target("SELECT count(*) FROM migrator.left_row") == [(0,)]
    admin_client.post(f"/runs/{run.pk}/roll-back/", {"edited": "leave"})
    assert work(run).status == "rolled_back", fresh(run).error
    assert shop.target("SELECT total FROM crm.sale ORDER BY total") == [(0,), (0,), (1,)]
    assert shop.target(CLIENTS) == [("already",), *kept]
    wide = [column for column in shop.shape() if column not in before]
    assert [column[:3] for column in wide] == [("crm.client", "full_name", "character varying(255)")], (
        "they need it"
    )
    assert (len(shop.shape()), shop.target("SELECT * FROM migrator.migration_map")) == (len(before), [])
    assert [row[:2] for row in shop.target(LEFT) if row[2] == "edited"] == [("orders", "7"), ("orders", "8")]
    told = reported(run)
    assert "crm.sale: 2 edited rows of orders were left: source rows 7, 8" in told
    assert f"with {len(kept)} to which they point" in told and "rollback differs" in told
    rest = "without these the rows are as they were, all 1 of them"
    assert f"2 rows more than then; 2 rows of the run were left, as listed; {rest})" in told
    assert "not accounted for" not in told
    assert "no run wrote" not in told, "what was left is not taken for rows of others"
    assert "points to it" in admin_client.get(f"/runs/{run.pk}/rollback-proof/").content.decode()
    again = shop.started()
    assert (again.status, shop.complaints()) == ("verified", [])
    assert proved(shop.rolled_back(again)).state == "equal"


@ONE_LAYOUT
def test_what_hangs_on_rows_that_go_still_refuses(shop: World) -> None:
    run = shop.started()
    shop.target("UPDATE crm.client SET email = 'new@example.org' WHERE source_table_id = 1")
    shop.target(
        "INSERT INTO crm.sale (client_id, total) SELECT id, 5 FROM crm.client WHERE source_table_id IN (1, 2)"
    )
    with pytest.raises(Refused) as refused:
        actions.roll_back(fresh(run), None, edited="leave")
    hangs = "customer: 1 row of crm.sale that the run did not bring points to its rows"
    assert [str(problem) for problem in refused.value.problems] == [hangs]
    with pytest.raises(Refused, match=r"2 rows of crm\.sale that the run did not bring"):
        actions.roll_back(fresh(run), None, edited="force")
    shop.target("DELETE FROM crm.sale WHERE total = 5")
    actions.roll_back(fresh(run), None, edited="force")
    assert proved(work(run)).state == "equal"


@ONE_LAYOUT
@pytest.mark.parametrize("options", ["ids", "no map", "map alone", "updated", "updated, map alone"])
def test_an_edited_row_is_nobodys_any_more_however_it_was_linked(world: World, options: str) -> None:
    run, before = opened(world, options)
    world.target("UPDATE new.people SET name = 'edited' WHERE name IN ('person 3', 'person 11')")
    rows = [("c11", "edited"), ("c3", "edited")]
    with pytest.raises(Refused, match="2 rows were changed since"):
        actions.roll_back(fresh(run), None)
    actions.roll_back(fresh(run), None, edited="leave")
    assert work(run).status == "rolled_back", fresh(run).error
    untouched = [row for row in BEFORE if row[0] != "c3" or "updated" not in options]
    assert sorted(world.target(ROWS)) == sorted([*rows, *untouched])
    assert (world.shape(), world.target("SELECT * FROM migrator.before_image")) == (before, [])
    assert world.target(LEFT) == [("person", "3", "edited"), ("person", "11", "edited")]
