"""A rollback is held against the fingerprints of the start: equal, or what differs and who is known to have done it."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from jobs.actions import runs as actions
from jobs.management.run_files import write_file
from jobs.models import HistoryEntry, Run
from jobs.reporting import summary
from jobs.reporting.rollback_proof import RollbackProof, proof_of
from mappings.problems import Refused
from tests.journeys.conftest import ONE_LAYOUT
from tests.journeys.world import World, fresh, work


def proved(run: Run) -> RollbackProof:
    """The proof of a run that is rolled back."""
    proof = proof_of(fresh(run))
    assert proof is not None, fresh(run).error
    return proof


def found(proof: RollbackProof) -> dict[str, tuple[str, str]]:
    """(rows, schema) of each table: equal, or in words what differs."""

    def said(verdict: Any) -> str:
        return "; ".join(verdict.texts) or verdict.state

    return {table.target: (said(table.rows), said(table.schema)) for table in proof.tables}


def ended(run: Run) -> tuple[int, str]:
    """The exit status of its rollback, and what the history says of it."""
    last = HistoryEntry.objects.filter(run=run.pk, verb="rolled back").latest("pk")
    return summary.exit_code(fresh(run), "rollback"), last.outcome


def reported(run: Run, *options: str) -> str:
    out = StringIO()
    call_command("run", "report", str(run.pk), "--rollback", *options, stdout=out)
    return out.getvalue()


def test_what_nobody_else_touched_is_equal_and_said_everywhere(shop: World, admin_client: Client) -> None:
    run = shop.started()
    with pytest.raises(Refused, match="not rolled back"):
        write_file({"verb": "report", "rollback": True, "format": None}, lambda _: fresh(run), StringIO())
    proof = proved(shop.rolled_back(run))
    assert (proof.state, proof.unexplained) == ("equal", ())
    assert ended(run) == (0, "done")
    assert found(proof) == {"crm.client": ("equal", "equal"), "crm.sale": ("equal", "equal")}
    assert [(table.before, table.after, table.tables) for table in proof.tables] == [
        (1, 1, ("customer",)), (1, 1, ("orders",)),
    ]  # fmt: skip
    told = reported(run)
    assert "rollback equal" in told and "crm.client, rows: equal\n" in told
    assert "crm.sale, sequence crm.sale_id_seq stands at 201, stood at 1: it is not set back" in told
    read = json.loads(reported(run, "--format", "json"))
    assert (
        read
        == json.loads(admin_client.get(f"/runs/{run.pk}/rollback.json").content)
        == json.loads(json.dumps(proof.to_json()))
    )
    page = admin_client.get(f"/runs/{run.pk}/rollback-proof/").content.decode()
    assert f"The target is as it was before run {run.pk}." in page and "check-passed" in page


@ONE_LAYOUT
def test_what_others_did_meanwhile_is_counted_and_never_called_equal(
    shop: World, settings: Any, admin_client: Client
) -> None:
    run = shop.started()
    shop.target("INSERT INTO crm.client (full_name) VALUES (repeat('x', 40)), ('new')")
    shop.target("UPDATE crm.client SET email = 'other@example.org' WHERE full_name = 'already'")
    shop.target(
        "ALTER TABLE crm.sale ADD CONSTRAINT positive CHECK (total >= 0); CREATE INDEX ON crm.sale (day)"
    )
    proof = proved(shop.rolled_back(run))
    assert proof.state == "differs"
    client, sale = found(proof).values()
    assert client[0] == "2 rows more than then; 3 rows that no run wrote were added or changed since"
    assert "rows that are not this mapping's need it, so it was kept" in client[1]
    assert "column full_name: was character varying(10) NOT NULL, is " in client[1]
    index = "CREATE INDEX sale_day_idx ON crm.sale USING btree (day)"
    constraint = "constraint positive: was not there, is CHECK ((total >= (0)::numeric))"
    assert sale == ("equal", f"{constraint}; index sale_day_idx: was not there, is {index}")
    # The width was kept for others' rows; a constraint, an index and a change of a row that was there were not told.
    assert proof.unexplained == (
        *(f"crm.client: {text}" for text in proof.tables[0].rows.texts),
        f"crm.sale: {constraint}",
        f"crm.sale: index sale_day_idx: was not there, is {index}",
    )
    assert ended(run) == (3, "differs")
    assert f"not accounted for: crm.sale: {constraint}" in reported(run)
    assert "rolled back, but the proof found a difference" in summary.text(fresh(run))
    for page in (f"/runs/{run.pk}/", f"/runs/{run.pk}/rollback-proof/"):
        assert "nobody accounts for it" in admin_client.get(page).content.decode()
    shop.target("ALTER TABLE crm.sale DROP CONSTRAINT positive")
    settings.FINGERPRINT_ROWS = 0
    run = shop.started()
    shop.target("DELETE FROM crm.client WHERE full_name = 'new'")
    actions.roll_back(fresh(run), None, keep_schema=True)
    clients, sales = proved(work(run)).tables
    assert clients.rows.texts == (
        "1 row fewer than then",
        "no row of it was written since, so rows were deleted",
    )
    assert "than the 0 that FINGERPRINT_ROWS allows; they were counted" in sales.rows.texts[0]
    assert (clients.rows.state, sales.rows.state, sales.schema.state) == ("differs", "unseen", "differs")
    assert sales.schema.texts[0] == "The schema was kept, as was asked for"
    assert (sales.unexplained, clients.unexplained) == ((), clients.rows.texts)
    assert ended(run) == (3, "differs")


@ONE_LAYOUT
def test_the_last_of_several_runs_is_held_against_the_first(shop: World) -> None:
    first = shop.started()
    shop.source("INSERT INTO legacy.customer VALUES (900, 'late', NULL, NULL, false)")
    shop.source("INSERT INTO legacy.orders VALUES (900, 900, 5, '2024-01-01')")
    second = shop.started()
    kept = proved(shop.rolled_back(first))
    assert {table.schema.texts[0] for table in kept.tables} == {
        "The schema was kept: other runs of the mapping are still in the target"
    }
    assert found(kept)["crm.sale"][0] == (
        "1 row more than then; 1 row was written by other runs since; without these the rows are as they were, all 1"
        " of them"
    )
    assert kept.unexplained == () and ended(first) == (0, "done")
    shop.target("INSERT INTO crm.client (full_name) VALUES ('new')")
    last = proved(shop.rolled_back(second))
    assert (last.state, last.of_run, last.unexplained) == ("differs", first.pk, ())
    assert last.tables[0].rows.texts[1:] == (
        "1 row that no run wrote was added or changed since",
        "without these the rows are as they were, all 1 of them",
    )
    assert ended(second) == (0, "done")
    first.fingerprints.all().delete()
    assert proved(first).state == "unseen"
