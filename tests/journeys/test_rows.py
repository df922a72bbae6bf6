"""From a report to any row of it: its differences, what a repair would mend, its passport; on pages and in commands."""

from __future__ import annotations

import json
from datetime import date
from io import StringIO

import psycopg
import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from jobs.actions import passports, runs
from jobs.models import Run
from mappings.problems import Refused
from tests import factories
from tests.journeys.conftest import ONE_LAYOUT
from tests.journeys.world import World, fresh, said, work

LURE = """
CREATE SCHEMA lure;
CREATE FUNCTION lure.never(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';
CREATE OPERATOR lure.= (LEFTARG = text, RIGHTARG = text, FUNCTION = lure.never)
"""
SEVENTH = date(2024, 3, 6)


def page(client: Client, name: str, run: Run, query: str = "") -> str:
    answer = client.get(reverse(f"jobs:{name}", args=[run.pk]) + query)
    assert answer.status_code == 200
    return answer.content.decode()


def command(*arguments: str) -> str:
    out = StringIO()
    call_command("run", *arguments, stdout=out)
    return out.getvalue()


@ONE_LAYOUT
def test_the_report_leads_to_each_row_and_to_its_repair(shop: World, client: Client) -> None:
    client.force_login(factories.make_user())
    run = shop.started()
    shop.target("UPDATE crm.sale SET day = NULL; UPDATE crm.sale SET total = 8.05 WHERE source_table_id = 7")
    runs.verify(fresh(run), None)
    assert work(run).status == "mismatch"
    link = f"{reverse('jobs:differences', args=[run.pk])}?table=orders&amp;column=total"
    assert link in page(client, "report", run)
    found = page(client, "differences", run, "?table=orders&column=total")
    assert "8.<mark>7</mark>5" in found and "8.<mark>0</mark>5" in found
    assert f"{reverse('jobs:row', args=[run.pk])}?table=orders&amp;source=7" in found
    assert "8.<mark>7</mark>5" in page(client, "row", run, "?table=orders&source=7")
    first = page(client, "differences", run, "?column=day")
    assert (first.count("<tr"), first.count('rel="next"')) == (101, 1)
    assert "1\u00a0row is overwritten" in page(client, "repair-rows", run, "?table=orders&column=total")
    number = str(run.pk)
    assert "0 rows would be copied, 1 overwritten" in command(
        "repair", number, "--column", "total", "--preview"
    )
    (listed,) = json.loads(command("differences", number, "--column", "total", "--format", "json"))
    assert (listed["source_key"], listed["expected"], listed["found"]) == ("7", "8.75", "8.05")
    assert command("differences", number, "--key", "7", "--format", "csv").count("\n") == 3
    assert command("differences", number, "--target-key", "8", "--format", "csv").count("\n") == 3
    answer = client.post(reverse("jobs:start-repair", args=[run.pk]), {"table": "orders", "column": "total"})
    assert answer.status_code == 302
    assert work(run).status == "mismatch"
    assert any("chose rows to repair" in text for text in said(run))
    assert "No difference is like that" in page(client, "differences", run, "?table=orders&column=total")
    assert shop.target("SELECT total::text, day FROM crm.sale WHERE source_table_id = 7") == [
        ("8.75", SEVENTH)
    ]
    assert "is no key of orders" in page(client, "row", run, "?table=orders&source=nonsense")


def test_a_row_has_a_passport_by_either_key(shop: World) -> None:
    run = shop.started()
    ((key,),) = shop.target("SELECT id::text FROM crm.sale WHERE source_table_id = 7")
    known = passports.row_passport(fresh(run), "orders", source="7")
    assert known == passports.row_passport(fresh(run), "orders", target=str(key))
    assert (known.source_key, known.target_key) == ("7", key)
    assert known.brought is not None
    assert (known.brought.run, known.brought.action, known.brought.revision) == (run.pk, "inserted", 1)
    assert known.brought.chunk == 1
    assert {one.column: one.expected for one in known.columns if not one.differs} == {
        "client_id": str(shop.target("SELECT client_id FROM crm.sale WHERE source_table_id = 7")[0][0]),
        "total": "8.75", "day": "2024-03-06", "is_migrated": "true",
    }  # fmt: skip
    shop.source("UPDATE legacy.orders SET total = 9 WHERE id = 7; DELETE FROM legacy.orders WHERE id = 8")
    (changed,) = [
        one for one in passports.row_passport(fresh(run), "orders", source="7").columns if one.differs
    ]
    assert (changed.column, changed.expected, changed.found) == ("total", "9.00", "8.75")
    gone = passports.row_passport(fresh(run), "orders", source="8")
    assert (gone.source_there, gone.target_there, gone.columns) == (False, True, ())
    with pytest.raises(Refused, match="nothing is known of a source row 999 of orders"):
        passports.row_passport(fresh(run), "orders", source="999")
    text = command("row", str(run.pk), "--table", "orders", "--target", str(key))
    assert f"inserted by run {run.pk}, chunk 1" in text and "total: the mapping yields 9.00, is 8.75" in text
    asked = "SELECT source_key, target_key, run, chunk, revision, action FROM migrator.row_passport"
    by_source = shop.target(f"{asked}('orders', source_key => '7')")
    assert by_source == [("7", key, run.pk, 1, 1, "inserted")]
    assert by_source == shop.target(f"{asked}('orders', target_key => '{key}')")
    shop.target(LURE)
    assert by_source == shop.target(
        f"SET search_path = lure, pg_catalog; {asked}('orders', source_key => '7')"
    )
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        shop.target(f"SET ROLE pg_monitor; {asked}('orders', source_key => '7')")
