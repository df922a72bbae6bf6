"""Runs of every status with all that their pages show, made without any engine."""

from __future__ import annotations

import itertools
import random
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Permission, User
from django.utils import timezone

from jobs import states
from jobs.models import Chunk, Report, Run, RunEvent, Seat, StepRun, TableRun
from jobs.pages import health
from mappings.language.file import parse
from mappings.models import Environment, Mapping
from mappings.store import save_spec
from tests.plans import MAPPING, TABLES, make_plan, make_steps

STAGE_OF = {
    states.QUEUED: "prepare",
    states.PREPARING: "prepare",
    states.VERIFYING: "verify",
    states.VERIFIED: "verify",
    states.MISMATCH: "verify",
    states.ROLLING_BACK: "undo",
    states.ROLLED_BACK: "undo",
}


def make_user(name: str = "alice", *, staff: bool = True, operator: bool = True) -> User:
    """A user without a password; an operator may press the buttons of runs."""
    user = User.objects.filter(username=name).first() or User.objects.create_user(name, is_staff=staff)
    if operator:
        user.user_permissions.add(Permission.objects.get(codename="change_run"))
    return user


def make_environment(name: str = "staging", after: Environment | None = None) -> Environment:
    environment = Environment.objects.filter(name=name).first() or Environment(name=name, after=after)
    environment.source_url = f"postgresql://migrator:pw@legacy-db.{name}.internal:5432/crm_legacy"
    environment.target_url = f"postgresql://migrator:pw@crm-db.{name}.internal:5432/crm"
    environment.save()
    return environment


def unsaved_environment(name: str, source: str, target: str) -> Environment:
    """An environment of these two URLs that the control database does not know."""
    made = Environment(name=name)
    made.source_url, made.target_url = source, target
    return made


def environment_at(name: str, source: str, target: str) -> Environment:
    """An environment of these two URLs."""
    made = unsaved_environment(name, source, target)
    made.save()
    return made


def make_mapping() -> Mapping:
    """The mapping of MAPPING with one revision."""
    return Mapping.objects.filter(name="crm-merge").first() or save_spec(parse(MAPPING)).mapping


def make_run(
    status: str = states.COPYING, *, quarantined: int = 0, environment: str = "staging", **values: Any
) -> Run:
    """A run of that status, as far as such a run is: tables, chunks, steps, events and its report."""
    mapping, now = make_mapping(), timezone.now()
    stage = str(values.pop("stage", STAGE_OF.get(status, "copy")))
    begun = status != states.QUEUED
    spent = {"prepare_seconds": 3.4 if begun else 0, "copy_seconds": 62.0 if stage != "prepare" else 0}
    spent |= {
        "verify_seconds": 41.0 if stage in ("verify", "undo") else 0,
        "undo_seconds": 18.0 if stage == "undo" else 0,
    }
    revision = mapping.latest_revision
    assert revision
    run = Run.objects.create(
        mapping=mapping, revision=revision, environment=make_environment(environment),
        plan=make_plan().to_json(), status=status, stage=stage, started_by=make_user(),
        created=now - timedelta(seconds=76), started=now - timedelta(seconds=74) if begun else None,
        finished=now if status in states.FINISHED else None, **spent, **values,
    )  # fmt: skip
    if begun:
        for position, table in enumerate(TABLES):
            fill_table(run, position, table[0], table[3], quarantined)
        fill_steps(run)
    fill_events(run)
    if status in (states.VERIFIED, states.MISMATCH, states.ROLLED_BACK):
        fill_report(run, passed=status != states.MISMATCH)
    return run


def fill_table(run: Run, position: int, name: str, rows: int, quarantined: int) -> None:
    """One table: the first is done, the second half done, the third to come, as far as the status says."""
    share = {"prepare": 0.0, "copy": (1.0, 0.6, 0.0)[position]}.get(run.stage, 1.0)
    done, aside = int(rows * share), quarantined if position == 1 else 0
    updated, kept = (done // 10, done // 25) if position == 0 else (0, 0)
    through = {"verify": (1.0, 0.4, 0.0)[position], "undo": (0.0, 0.7, 1.0)[position]}.get(run.stage, 0.0)
    if run.status in states.FINISHED and run.stage != "copy":
        through = 1.0
    differs = run.status == states.MISMATCH and position == 1
    table = TableRun.objects.create(
        run=run, position=position, name=name, estimated_rows=rows,
        phase={"prepare": "copy"}.get(run.stage, run.stage), cut_done=share == 1.0, source_rows=done,
        inserted=done - updated - kept - aside, updated=updated, kept=kept, quarantined=aside,
        target_before=1_250, target_after=1_250 + done - updated - kept - aside,
        is_migrated=done - kept - aside, map_rows=done - aside,
        compared=int(rows * through) if run.stage == "verify" else rows if run.stage == "undo" else 0,
        undone=int(rows * through) if run.stage == "undo" else 0,
        missing=2 if differs else 0, different=1 if differs else 0,
    )  # fmt: skip
    fill_chunks(table, share if run.stage == "copy" else through)


def fill_chunks(table: TableRun, share: float) -> None:
    """Chunks over the last minute, with an honest wobble."""
    dice, now = random.Random(table.position), timezone.now()
    count = int(30 * share)
    Chunk.objects.bulk_create(
        Chunk(
            table=table, phase=table.phase, number=number, state="done", rows=int(10_000 * dice.uniform(0.6, 1.1)),
            seen=now - timedelta(seconds=70 - 22 * table.position - number * 0.75), seconds=0.4,
        )
        for number in range(count)
    )  # fmt: skip
    if count < 30 and share:
        Chunk.objects.create(table=table, phase=table.phase, number=count, state="claimed", seen=now)


def fill_steps(run: Run) -> None:
    """The plan's steps; done once the copy has begun, and undone in a rollback."""
    done = run.stage != "prepare"
    for position, step in enumerate(make_steps()):
        state = "done" if done or position == 0 else ("running" if position == 1 else "waiting")
        StepRun.objects.create(
            run=run, position=position, title=step.title, sql="\n".join(step.sql), state=state,
            seconds=0.02 + position * 0.4 if state == "done" else 0,
        )  # fmt: skip
    if run.status == states.ROLLED_BACK:
        for position, step in enumerate(reversed(make_steps())):
            StepRun.objects.create(
                run=run, position=position, backward=True, title=step.title, sql="\n".join(step.undo),
                state="kept" if position == 0 else "done", seconds=0.1,
                note="Kept: newer rows need the width." if position == 0 else "",
            )  # fmt: skip


def fill_events(run: Run) -> None:
    """The moves up to the present status, a warning, and the error of a failed run."""
    path = {
        "prepare": [],
        "copy": ["copying"],
        "verify": ["copying", "verifying"],
        "undo": ["copying", "verifying", "verified", "rolling_back"],
    }
    moves = ["queued", "preparing", *path[run.stage], run.status]
    moves = [move for index, move in enumerate(moves) if move not in moves[:index]]
    if run.status == states.QUEUED:
        moves = ["queued"]
    RunEvent.objects.create(
        run=run, actor="alice", text="Started from the review page.", to_status="queued", at=run.created
    )
    for index, (old, new) in enumerate(itertools.pairwise(moves)):
        RunEvent.objects.create(
            run=run, text=states.MOVES.get((old, new), "An operator asked for it."), from_status=old, to_status=new,
            actor="worker-1" if index < 2 else "", at=run.created + timedelta(seconds=3 + index * 20),
        )  # fmt: skip
    if run.stage != "prepare":
        RunEvent.objects.create(
            run=run, level="warning", actor="worker-2", at=run.created + timedelta(seconds=31),
            text="The connection to the target was lost in chunk 14 of contact; the ledger says it was not committed. "
            "Again in 0.8 s.",
        )  # fmt: skip
    if run.error:
        RunEvent.objects.create(run=run, level="error", text=run.error, actor="worker-1")


def fill_report(run: Run, *, passed: bool) -> Report:
    """The evidence, with samples of each kind where it did not pass."""
    names = ("name", "source_rows", "inserted", "updated", "kept", "quarantined", "target_before", "target_after",
             "is_migrated", "map_rows", "missing", "extra", "different")  # fmt: skip
    tables = [{name: getattr(table, name) for name in names} for table in run.tables.all()]
    for table in tables:
        bad = not passed and table["name"] == "contact"
        table["samples"] = [
            {"kind": "different", "key": "71", "columns": [
                {"column": "email", "expected": "ada@example.org", "found": "ADA@example.org"},
                {"column": "born_on", "expected": "1980-02-29", "found": None},
            ]},
            {"kind": "missing", "key": "88113", "columns": []},
            {"kind": "extra", "key": "90001", "columns": []},
        ] if bad else []  # fmt: skip
        table["checks"] = [
            {
                "title": "Every row compared, column by column",
                "passed": not bad,
                "detail": "3 rows differ" if bad else "",
            },
            {"title": "Each source row is in the map exactly once", "passed": True, "detail": ""},
            {
                "title": "Sequences stand above the largest key",
                "passed": None,
                "detail": "The key is not mapped.",
            },
        ]
    return Report.objects.create(run=run, passed=passed, tables=tables, seconds=41.2)


def make_seat() -> Seat:
    """A worker that will count as seen just now for as long as a test takes; pages look anew at what ails."""
    health.forget()
    seen = timezone.now() + timedelta(hours=1)
    return Seat.objects.create(name="worker-1", queue="q1", host="here", pid=1, seen=seen)
