"""What stands against a new run, and the rows of the control database that it begins with."""

from __future__ import annotations

from django.db import connection
from django.db.models import Q

from jobs import clock, phases, states
from jobs.models import Run, StepRun, TableRun
from jobs.transitions import User
from mappings.models import Environment, Mapping
from mappings.plan.model import Plan
from mappings.problems import Problem, Refused


class AlreadyActive(Refused):
    """Another run of the mapping holds the environment. run: that run."""

    def __init__(self, run: Run) -> None:
        self.run = run
        who = run.started_by.get_username() if run.started_by else "a command"
        status = run.status.replace("_", " ")
        text = f"run {run.pk} of {run.mapping.name} in {run.environment.name} is {status}; {who} started it"
        super().__init__([Problem("", text)])


def refuse_if_active(mapping: Mapping, environment: Environment, but: int | None = None) -> None:
    """Raises AlreadyActive where a run holds the mapping in the environment, other than the one of that number."""
    active = Run.objects.filter(mapping=mapping, environment=environment, status__in=states.ACTIVE)
    if but is not None:
        active = active.exclude(pk=but)
    if run := active.select_related("mapping", "environment", "started_by").first():
        raise AlreadyActive(run)


def refuse_if_held_elsewhere(mapping: Mapping, environment: Environment, target: str) -> None:
    """Raises Refused where a run of the mapping works in the same target under another environment's name, or has left
    something there. target: as plans identify it."""
    runs = Run.objects.filter(mapping=mapping, plan_target=target).exclude(environment=environment)
    left = Q(steps__state="done", steps__backward=False) | Q(tables__chunks__state="done")
    held = runs.filter(Q(status__in=states.ACTIVE) | left).exclude(status=states.ROLLED_BACK)
    if run := held.select_related("mapping", "environment").first():
        status, other = run.status.replace("_", " "), run.environment.name
        text = (
            f"run {run.pk} of {run.mapping.name} in environment {other} is {status}, and {other} leads to the same"
            f" target database: work on it in {other}, or roll run {run.pk} back first"
        )
        raise Refused([Problem("", text)])


def refuse_if_half_undone(mapping: Mapping, environment: Environment) -> None:
    """What a broken-off rollback left is neither there nor gone: it has to be finished first."""
    runs = Run.objects.filter(mapping=mapping, environment=environment, status=states.FAILED, stage="undo")
    if run := runs.first():
        text = f"the rollback of run {run.pk} failed half-way; finish it first: retry run {run.pk}"
        raise Refused([Problem("", text)])


def refuse_if_half_linked(mapping: Mapping, environment: Environment, plan: Plan) -> None:
    """Rows whose deferred references were never filled would stay so: each run links only what it brought."""
    if not any(ref.deferred for table in plan.tables for ref in table.references):
        return
    ended = Run.objects.filter(mapping=mapping, environment=environment, stage="copy")
    ended = ended.filter(status__in=(states.FAILED, states.CANCELLED), tables__chunks__state="done")
    if run := ended.first():
        way = f"retry or roll back run {run.pk}" if run.status == states.FAILED else f"roll back run {run.pk}"
        text = f"run {run.pk} was {run.status} before its rows were linked to each other; first {way}"
        raise Refused([Problem("", text)])


def create(
    mapping: Mapping, environment: Environment, actor: User, plan: Plan, number: int | None = None
) -> Run:
    _reserve_numbers(plan.next_run)
    revision = mapping.revisions.get(sha256=plan.sha256, number=plan.revision)
    run = Run.objects.create(
        created=clock.now(),
        pk=number, mapping=mapping, revision=revision, environment=environment, plan=plan.to_json(),
        fingerprint=plan.fingerprint, started_by=actor,
    )  # fmt: skip
    StepRun.objects.bulk_create(
        StepRun(run=run, position=position, title=step.title, sql=";\n".join(step.sql))
        for position, step in enumerate(plan.steps, start=1)
    )
    TableRun.objects.bulk_create(
        TableRun(
            run=run,
            position=position,
            name=table.name,
            estimated_rows=table.feed.estimate,
            phase=phases.ASSIGN if table.assigning else phases.COPY,
        )
        for position, table in enumerate(plan.moved, start=1)
    )
    return run


def _reserve_numbers(first: int) -> None:
    """Run numbers are told apart in the target, where another installation may have used some already."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT setval(s.name, %s - 1) FROM (SELECT pg_get_serial_sequence('jobs_run', 'id') AS name) AS s,"
            " pg_sequences q WHERE s.name = format('%%I.%%I', q.schemaname, q.sequencename)"
            " AND coalesce(q.last_value, 0) < %s - 1",
            [first, first],
        )
