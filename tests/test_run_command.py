"""The `run` command: what it passes on, what it prints where, and its exit status.

The actions are replaced: what they do to rows is seen in the journeys. Here each verb is seen to reach its action.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, connections
from django.utils import timezone

from jobs import progress
from jobs.actions import repairs, runs
from jobs.models import Run
from jobs.reporting import follow
from jobs.throttles import NONE
from mappings.problems import Problem, Refused
from tests import many
from tests.made_runs import make_chunk, make_run, make_seat, make_table

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def run_command(*args: str) -> Ended:
    out, err = StringIO(), StringIO()
    try:
        call_command("run", *args, stdout=out, stderr=err, no_color=True)
    except SystemExit as ended:
        assert isinstance(ended.code, int)
        return Ended(ended.code, out.getvalue(), err.getvalue())
    return Ended(0, out.getvalue(), err.getvalue())


@pytest.fixture(autouse=True)
def impatient(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.WORKER_PATIENCE = 0
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.02)


def room_of(action: str) -> Any:
    """The module in which the command looks for an action."""
    return repairs if action == "repair" else runs


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The actions that were called: name, positional and named arguments."""
    calls: list[tuple[Any, ...]] = []

    def replace(name: str, returned: Callable[..., Any]) -> None:
        def action(*args: Any, **named: Any) -> Any:
            calls.append((name, args, named))
            return returned(*args)

        monkeypatch.setattr(room_of(name), name, action)

    replace("start", lambda mapping, environment, *rest: Run.objects.get())
    for name in ("pause", "resume", "cancel", "retry", "repair", "verify", "roll_back"):
        replace(name, lambda run, *rest: run)
    return calls


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Sets values of a run once it was looked at, from another connection, as a worker would."""
    threads = []
    looked = threading.Event()
    look = progress.progress_of

    def seen(run: Run) -> progress.Progress:
        found = look(run)
        looked.set()
        return found

    monkeypatch.setattr(progress, "progress_of", seen)

    def change(run: Run, **values: Any) -> None:
        def work() -> None:
            looked.wait(30)
            Run.objects.filter(pk=run.pk).update(**values)
            connections.close_all()

        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield change
    for thread in threads:
        thread.join()


# ---- refusals: every problem a line on stderr, exit status 2, nothing changed


def test_unknown_names_are_both_named() -> None:
    ended = run_command("start", "nothing", "--env", "nowhere", "--format", "json")
    assert (ended.code, ended.out) == (2, "")
    assert [line.split("`")[0] for line in ended.err.splitlines()] == [
        "There is no mapping called 'nothing'; ",
        "There is no environment called 'nowhere'; ",
    ]


@pytest.mark.parametrize(
    "verb", ["status", "pause", "resume", "retry", "repair", "cancel", "verify", "rollback"]
)
def test_an_unknown_run(verb: str) -> None:
    ended = run_command(verb, "99")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("There is no run 99;")


@pytest.mark.parametrize(
    "verb", ["start", "pause", "resume", "retry", "repair", "cancel", "verify", "roll_back"]
)
def test_each_problem_is_a_line(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **named: Any) -> None:
        raise Refused([Problem("tables[0]", "No."), Problem("", "Never.")])

    monkeypatch.setattr(room_of(verb), verb, refuse)
    run = make_run()
    make_seat()
    args = ["crm-merge", "--env", "local"] if verb == "start" else [str(run.pk)]
    ended = run_command(verb.replace("_", ""), *args)
    assert (ended.code, ended.out, ended.err) == (2, "", "tables[0]: No.\nNever.\n")


@pytest.mark.parametrize("verb", ["start", "resume", "retry", "repair", "verify", "rollback"])
def test_waiting_without_a_worker_is_refused_before_anything_is_changed(verb: str, called: list[Any]) -> None:
    run = make_run("failed")
    make_seat("dead", ago=60)
    args = ["crm-merge", "--env", "local"] if verb == "start" else [str(run.pk)]
    ended = run_command(verb, *args, "--wait")
    assert (ended.code, ended.out, called) == (2, "", [])
    assert "manage.py worker" in ended.err


def test_without_waiting_a_missing_worker_is_only_said(called: list[Any]) -> None:
    make_run("queued", stage="prepare", started=None)
    ended = run_command("start", "crm-merge", "--env", "local")
    assert (ended.code, len(called)) == (0, 1)
    assert "No worker is running" in ended.err


# ---- what reaches the actions


def test_start_passes_the_tables_on(called: list[Any]) -> None:
    run = make_run()
    run_command("start", "crm-merge", "--env", "local", "--tables", "company, contact,")
    assert called == [
        (
            "start",
            (run.mapping, run.environment, None, ["company", "contact"]),
            {"throttles": NONE, "safe": False},
        )
    ]


@pytest.mark.parametrize("named", ["", " , "])
def test_a_start_of_no_table_is_not_one_of_all(called: list[Any], named: str) -> None:
    make_run()
    ended = run_command("start", "crm-merge", "--env", "local", "--tables", named)
    assert (ended.code, called) == (2, [])
    assert ended.err == "--tables: names no table; leave it out for all of them\n"


def test_start_without_tables_means_all(called: list[Any]) -> None:
    make_run()
    run_command("start", "crm-merge", "--env", "local")
    assert called[0][1][3] is None


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel", "retry", "repair", "verify"])
def test_each_verb_reaches_its_action(verb: str, called: list[Any]) -> None:
    run = make_run()
    assert run_command(verb, str(run.pk)).code == 0
    more = (False,) if verb == "verify" else ()  # not by the values' images
    assert called == [(verb, (run, None, *more), {})]


def test_rollback_passes_its_choices_on(called: list[Any]) -> None:
    run = make_run("verified")
    run_command("rollback", str(run.pk), "--keep-schema", "--force")
    run_command("rollback", str(run.pk))
    assert [named for _, _, named in called] == [
        {"keep_schema": True, "force": True, "edited": "refuse"},
        {"keep_schema": False, "force": False, "edited": "refuse"},
    ]


# ---- waiting, and exit statuses


@pytest.mark.parametrize(
    ("verb", "status", "code"),
    [
        ("start", "verified", 0),
        ("start", "mismatch", 3),
        ("start", "failed", 1),
        ("start", "cancelled", 1),
        ("start", "paused", 1),
        ("retry", "verified", 0),
        ("resume", "verified", 0),
        ("verify", "mismatch", 3),
        ("rollback", "rolled_back", 0),
        ("rollback", "failed", 1),
    ],
)
def test_waiting_ends_with_the_run(verb: str, status: str, code: int, called: list[Any], later: Any) -> None:
    make_seat()
    run = make_run("rolling_back" if verb == "rollback" else "copying")
    make_table(run, estimated_rows=100, inserted=50)
    later(run, status=status, finished=timezone.now(), error="It broke." if status == "failed" else "")
    args = ["crm-merge", "--env", "local"] if verb == "start" else [str(run.pk)]
    ended = run_command(verb, *args, "--wait", "--format", "json")
    assert ended.code == code
    assert json.loads(ended.out)["status"] == status
    assert "50 of 100 rows" in ended.err
    assert ("It broke." in ended.err) == (status == "failed")


def test_a_rollback_that_is_resumed_is_waited_for_as_a_rollback(called: list[Any], later: Any) -> None:
    make_seat()
    run = make_run("rolling_back", stage="undo")
    later(run, status="rolled_back", finished=timezone.now())
    assert run_command("resume", str(run.pk), "--wait").code == 0


def test_without_a_terminal_plain_lines_and_the_report_go_to_stdout(called: list[Any], later: Any) -> None:
    make_seat()
    run = make_run()
    make_chunk(make_table(run, estimated_rows=100, inserted=50), "claimed")
    later(run, status="verified", finished=timezone.now())
    ended = run_command("start", "crm-merge", "--env", "local", "--wait")
    first, *_ = ended.out.splitlines()
    assert first == f"run {run.pk} 50 % copying, 50 of 100 rows"
    assert f"Run {run.pk} of crm-merge in local: verified" in ended.out
    assert ended.err == ""
    assert "\x1b" not in ended.out


def test_on_a_terminal_a_bar_moves(later: Any) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    run = make_run()
    make_chunk(make_table(run, estimated_rows=100, inserted=50), "claimed")
    later(run, status="verified", finished=timezone.now())
    screen = Terminal()
    assert follow.follow(run.pk, screen).status == "verified"
    assert "company" in screen.getvalue()
    assert "\x1b[" in screen.getvalue()


def test_ctrl_c_leaves_the_run_going(called: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(run_id: int, stream: Any) -> Run:
        raise KeyboardInterrupt

    monkeypatch.setattr(follow, "follow", interrupt)
    make_seat()
    run = make_run()
    ended = run_command("start", "crm-merge", "--env", "local", "--wait")
    assert f"Run {run.pk} goes on" in ended.err
    assert ended.code not in (0, 1, 2, 3)
    assert Run.objects.get().status == "copying"


def test_waiting_outlives_a_control_database_that_goes_away() -> None:
    run = make_run()
    screen = StringIO()
    waiting = connection.connection.info.backend_pid

    def restart() -> None:
        time.sleep(0.3)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [waiting])
        Run.objects.update(status="verified", finished=timezone.now())
        connections.close_all()

    server = threading.Thread(target=restart)
    server.start()
    ended = follow.follow(run.pk, screen)
    server.join()
    assert ended.status == "verified"
    assert screen.getvalue().count("The control database is away") == 1


# ---- looking


def test_status_as_json_is_one_object() -> None:
    run = make_run("mismatch", finished=timezone.now())
    ended = run_command("status", str(run.pk), "--format", "json")
    assert json.loads(ended.out)["run"] == run.pk
    assert (ended.code, ended.err) == (0, "")


def test_the_list_as_json() -> None:
    assert json.loads(run_command("list", "--format", "json").out) == []
    done = make_run("verified", finished=timezone.now())
    waiting = make_run("queued", started=None)
    assert json.loads(run_command("list", "--format", "json").out) == [
        {
            "run": waiting.pk,
            "mapping": "crm-merge",
            "env": "local",
            "status": "queued",
            "started": None,
            "finished": None,
        },
        {
            "run": done.pk,
            "mapping": "crm-merge",
            "env": "local",
            "status": "verified",
            "started": str(done.started and done.started.isoformat()),
            "finished": str(done.finished and done.finished.isoformat()),
        },
    ]


def test_the_list_as_text() -> None:
    run = make_run("verified", finished=timezone.now())
    assert run_command("list").out.split()[:4] == [str(run.pk), "crm-merge", "local", "verified"]


def test_the_list_is_paged() -> None:
    old, middle, new = (make_run("verified", finished=timezone.now()).pk for _ in range(3))
    page = run_command("list", "--limit", "2")
    assert [line.split()[0] for line in page.out.splitlines()] == [str(new), str(middle)]
    assert page.err == f"There are older ones: `run list --after {middle}`.\n"
    rest = run_command("list", "--after", str(middle), "--limit", "2")
    assert ([line.split()[0] for line in rest.out.splitlines()], rest.err) == ([str(old)], "")
    listed = json.loads(run_command("list", "--format", "json", "--limit", "1", "--after", str(new)).out)
    assert [run["run"] for run in listed] == [middle]


def test_the_filters_of_the_list_combine() -> None:
    make_run("failed", finished=timezone.now())
    failed, verified = (make_run(status, finished=timezone.now()).pk for status in ("failed", "verified"))

    def found(*options: str) -> list[int]:
        return [run["run"] for run in json.loads(run_command("list", "--format", "json", *options).out)]

    assert found("--status", "verified", "--mapping", "crm-merge", "--env", "local") == [verified]
    assert found("--status", "failed", "--limit", "1") == [failed]
    assert found("--status", "active") == found("--status", "needs-somebody") == []
    part = run_command("list", "--status", "failed", "--env", "local", "--limit", "1")
    assert part.err == f"There are older ones: `run list --status failed --env local --after {failed}`.\n"
    assert run_command("list", "--env", "nowhere").code == run_command("list", "--mapping", "x").code == 2


def test_the_list_costs_the_same_however_long_it_is(django_assert_num_queries: Any) -> None:
    environments, revisions = many.make_environments(), many.make_mappings(20)
    many.make_runs(700, revisions, environments)
    for form in ("json", "text"):
        with django_assert_num_queries(1) as asked:
            out = run_command("list", "--format", form).out
        assert not any('"plan"' in query["sql"] for query in asked.captured_queries)
    assert len(out.splitlines()) == 50
