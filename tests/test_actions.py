"""Which button works in which status: what it moves a run to, and the sentence of each refusal."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.core.management import call_command

from jobs import states, transitions
from jobs.actions import runs
from jobs.models import Run
from jobs.pages.one_run.run import RunPage
from jobs.processes import seats
from jobs.running import runner
from jobs.workers import tasks
from mappings.problems import Refused
from tests.factories import make_user
from tests.made_runs import make_chunk, make_run, make_table
from tests.plans import make_plan

pytestmark = pytest.mark.django_db

MOVES = {
    "pause": dict.fromkeys(("queued", "preparing", "copying", "verifying", "rolling_back"), "pausing"),
    "resume": {"paused": "copying"},
    "cancel": dict.fromkeys(
        ("queued", "preparing", "copying", "verifying", "pausing", "paused"), "cancelled"
    ),
    "retry": {"failed": "copying", "mismatch": "copying", "verified": "copying"},
    "repair": {"mismatch": "copying"},
    "verify": {"verified": "verifying", "mismatch": "verifying"},
    "roll_back": dict.fromkeys(("verified", "mismatch", "failed", "cancelled", "paused"), "rolling_back"),
}
"""Written down a second time, from the operator's side: what each button does, and nothing in any other status."""


def press(action: str, run: Run) -> str:
    """The status that the button leads to. What stands against a rollback is another story."""
    options: dict[str, Any] = {"force": True, "keep_schema": True} if action == "roll_back" else {}
    getattr(runs, action)(run, None, **options)
    return Run.objects.get(pk=run.pk).status


def make_differing_table(run: Run) -> None:
    """One with a row set aside and a row that differs, so that there is something to retry and to repair."""
    make_chunk(make_table(run, quarantined=1), phase="verify", different=1)


@pytest.mark.parametrize("action", MOVES)
def test_a_button_works_in_its_statuses_only(action: str) -> None:
    for status in states.STATUSES:
        run = make_run(status, name=f"when-{status.replace('_', '-')}")
        make_differing_table(run)
        if status in MOVES[action]:
            assert press(action, run) == MOVES[action][status]
            continue
        with pytest.raises(Refused, match=rf"^run {run.pk} is {status.replace('_', ' ')}\b"):
            press(action, run)
        assert Run.objects.get(pk=run.pk).status == status


@pytest.mark.parametrize(
    ("status", "action"),
    [("failed", "retry"), ("mismatch", "repair"), ("verified", "verify"), ("cancelled", "roll_back")],
)
def test_a_run_that_is_over_waits_for_another_that_is_active(status: str, action: str) -> None:
    run = make_run(status)
    make_differing_table(run)
    other = make_run("rolling_back", stage="undo")
    with pytest.raises(Refused, match=f"run {other.pk} of crm-merge in local is rolling back"):
        press(action, run)
    assert Run.objects.get(pk=run.pk).status == status


@pytest.mark.parametrize("status", ["pausing", "paused"])
def test_a_rollback_that_pauses_cannot_be_cancelled(status: str) -> None:
    run = make_run(status, stage="undo")
    with pytest.raises(Refused, match="half rolled back"):
        press("cancel", run)
    assert "cancel" not in [button.action for button in RunPage(run).buttons]


def test_addresses_that_no_key_reads_are_refused_and_fail_a_run_in_one_sentence(settings: Any) -> None:
    run = make_run("verified", plan=make_plan().to_json())
    working = make_run("copying", name="another", plan=make_plan().to_json())
    settings.CREDENTIALS_KEY = ["B" * 43 + "="]
    with pytest.raises(Refused, match="encrypted with another CREDENTIALS_KEY"):
        runs.roll_back(run, None)
    runner.advance(working.pk, "w1", time.monotonic() + 1)
    working.refresh_from_db()
    assert (working.status, working.error.split(" were")[0]) == (
        "failed",
        "The addresses of environment local",
    )


@pytest.mark.django_db(transaction=True)
def test_who_moved_a_run_is_recorded_whoever_it_was(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(transitions, "_process", "")
    run = make_run("queued")
    monkeypatch.setattr(runner, "advance", lambda run_id, *_: transitions.move(run, "preparing"))
    tasks.ring(run.pk)
    runs.pause(run, make_user("alice"))
    call_command("run", "cancel", str(run.pk))
    worker, alice, terminal = run.events.order_by("id").values_list("actor", "from_status", "to_status")
    assert worker == (seats.my_name(), "queued", "preparing")
    assert alice == ("alice", "preparing", "pausing")
    assert terminal[0].endswith(", by a command") and terminal[1:] == ("pausing", "cancelled")
