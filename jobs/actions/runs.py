"""One function per button, used by page and command alike. Each either does all of it or raises Refused."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from django.db import IntegrityError, transaction

from jobs import phases, states, transitions
from jobs.actions import promotion, refusals, reviews
from jobs.actions import start as starting
from jobs.actions.moves import move, require, ring_after_commit
from jobs.actions.repairs import repair
from jobs.actions.rollbacks import roll_back, rollback_against, rollback_costs
from jobs.engine.target import ledger
from jobs.models import Review, Run
from jobs.processes import doorbell
from jobs.running import begin_phase, late_rows, script_runs, throttling
from jobs.running import verify as verifying
from jobs.throttles import NONE, Throttles
from jobs.transitions import User
from mappings.connections import sessions, unreachable
from mappings.models import Environment, Mapping, Revision
from mappings.plan.model import Plan
from mappings.planning.planner import TooLong, make_plan
from mappings.problems import Problem, Refused

__all__ = [
    "cancel",
    "estimated_review",
    "pause",
    "quick_review",
    "repair",
    "resume",
    "retry",
    "review",
    "reviewed_plan",
    "roll_back",
    "rollback_against",
    "rollback_costs",
    "start",
    "throttle",
    "verify",
]


def review(
    mapping: Mapping,
    environment: Environment,
    tables: Sequence[str] | None = None,
    most: float | None = None,
    safe: bool = False,
) -> Plan:
    """The plan that Start would freeze. Raises Refused where there is no revision or no database.

    most: TooLong where measuring would cost more than that; safe: columns are widened without a long lock, where
    that can be had.
    """
    return make_plan(_latest(mapping), environment, tables, most=most, safe=safe)


def estimated_review(
    mapping: Mapping, environment: Environment, tables: Sequence[str] | None = None, safe: bool = False
) -> Plan:
    """The plan as far as it is known without reading large tables: it names those that are not measured. It is to be
    looked at until they are; nothing starts from it. Raises Refused as `review`."""
    latest = _latest(mapping)
    return make_plan(latest, environment, tables, most=reviews.QUICK, safe=safe, estimate=True)


def quick_review(
    mapping: Mapping, environment: Environment, tables: Sequence[str], safe: bool = False
) -> Review:
    """A review that is done, or, where measuring takes long, one that the workers were rung for."""
    revision = _latest(mapping)
    try:
        plan = review(mapping, environment, tables or None, reviews.QUICK, safe)
    except TooLong:
        plan = None
    result = reviews.ask(revision, environment, tables, plan, safe)
    if result.state == "waiting":
        transaction.on_commit(lambda: doorbell.ring_workers(doorbell.REVIEWS))
    return result


def _latest(mapping: Mapping) -> Revision:
    if mapping.latest_revision is None:
        raise Refused([Problem("", f"{mapping.name} has no revision yet: it is still a draft")])
    return mapping.latest_revision


def reviewed_plan(
    mapping: Mapping,
    environment: Environment,
    tables: Sequence[str] | None,
    reviewed: Review | None,
    safe: bool = False,
) -> Plan:
    """The plan of a review as it may be used, or one that is made now. Raises Refused."""
    if reviewed is None:
        return review(mapping, environment, tables, safe=safe)
    if (reviewed.revision.mapping_id, reviewed.environment_id) != (mapping.pk, environment.pk):
        other = f"{reviewed.revision.mapping} in {reviewed.environment}"
        text = f"the plan that you reviewed is of {other}; review {mapping} in {environment}"
        raise Refused([Problem("", text)])
    if (reviewed.selected, reviewed.safe) != (list(tables or ()), safe):
        text = "the plan that you reviewed is of other tables, or widens them the other way; review it again"
        raise Refused([Problem("", text)])
    return reviews.usable_plan(reviewed)


@refusals.kept("start")
def start(
    mapping: Mapping,
    environment: Environment,
    actor: User,
    tables: Sequence[str] | None = None,
    reviewed: Review | None = None,
    throttles: Throttles = NONE,
    *,
    safe: bool = False,
) -> Run:
    """Freezes a plan on a new run and rings the workers; reviewed: a review whose plan it is; safe: as in review.

    Raises AlreadyActive, or Refused with the blockers, or with why the reviewed plan does not hold any more.
    """
    starting.refuse_if_active(mapping, environment)
    starting.refuse_if_half_undone(mapping, environment)
    plan = reviewed_plan(mapping, environment, tables, reviewed, safe)
    _refuse_where_blocked(mapping, environment, plan)
    by_hand = script_runs.to_go_on_with(environment, plan)
    try:
        with transaction.atomic():
            Mapping.objects.select_for_update().get(pk=mapping.pk)  # of two environments only one begins
            starting.refuse_if_held_elsewhere(mapping, environment, plan.target_identity)
            taken = script_runs.own(plan, by_hand)
            run = starting.create(mapping, environment, actor, plan, script_runs.number_for(taken, plan))
            if taken:
                script_runs.mark(run, plan)
            transitions.note(run, "The run was started.", actor, to_status=run.status)
            _pass_on(run, plan, actor)
            if throttles != NONE:
                _set_throttles(run, actor, throttles)
            script_runs.announce(run, taken, by_hand)
    except IntegrityError:
        starting.refuse_if_active(mapping, environment)
        raise
    ring_after_commit(run)
    return run


def _refuse_where_blocked(mapping: Mapping, environment: Environment, plan: Plan) -> None:
    """Raises Refused where the plan itself or another run stands against the start."""
    if plan.blockers:
        raise Refused(plan.blockers)
    starting.refuse_if_half_linked(mapping, environment, plan)
    starting.refuse_if_held_elsewhere(mapping, environment, plan.target_identity)


def _pass_on(run: Run, plan: Plan, actor: User) -> None:
    """What the plan warns of in its environment, which nobody sees who starts the run by a command."""
    for warning in plan.warnings:
        if warning.path == promotion.PATH:
            transitions.note(run, warning.text, actor, level="warning")


@refusals.kept("throttle")
def throttle(run: Run, actor: User, throttles: Throttles) -> None:
    """Sets how the run is throttled from its next chunk on, at whatever it is."""
    if run.status == states.ROLLED_BACK:
        raise Refused([Problem("", f"run {run.pk} is rolled back: there is nothing left to throttle")])
    if throttles != Throttles.from_json(run.throttles):
        with transaction.atomic():
            _set_throttles(run, actor, throttles)


def _set_throttles(run: Run, actor: User, throttles: Throttles) -> None:
    """What was owed to the old pace is forgiven; no chunk begins before the stop signals were looked up."""
    run.throttles = throttles.to_json()
    Run.objects.filter(pk=run.pk).update(
        throttles=run.throttles,
        paced_until=None,
        rests_until=None,
        looked_at=None,
        signal=throttling.NOT_LOOKED_YET if throttles.signals else "",
    )
    said = "; ".join(throttles.sentences())
    transitions.note(
        run, f"The run is throttled: {said}." if said else "The run is no longer throttled.", actor
    )


@refusals.kept("pause")
def pause(run: Run, actor: User) -> None:
    """Asks the run to stop at the next chunk boundary."""
    move(run, states.PAUSING, actor)
    ring_after_commit(run)


@refusals.kept("resume")
def resume(run: Run, actor: User) -> None:
    """Lets a paused run go on where it stopped."""
    require(run, states.PAUSED)
    move(run, states.STAGE_STATUS[run.stage], actor)
    ring_after_commit(run)


@refusals.kept("cancel")
def cancel(run: Run, actor: User) -> None:
    """Ends a run for good; what was committed stays until it is rolled back. A rollback is never left half-way."""
    if run.is_held_rollback:
        text = f"run {run.pk} is half rolled back, and that cannot be cancelled: resume it"
        raise Refused([Problem("", text)])
    move(run, states.CANCELLED, actor)


@refusals.kept("retry")
def retry(run: Run, actor: User) -> None:
    """A failed run goes on with what failed; after a mismatch or with rows set aside, what lacks is copied.

    Where another run has brought rows meanwhile, each range looks first what is there.
    """
    if run.stage != "undo":
        starting.refuse_if_held_elsewhere(run.mapping, run.environment, run.plan.get("target_identity", ""))
    if run.status == states.FAILED:
        move(run, states.STAGE_STATUS[run.stage], actor, _forgive)
    else:
        require(run, states.FAILED, states.MISMATCH, states.VERIFIED)
        if run.status == states.VERIFIED and not run.tables.filter(quarantined__gt=0).exists():
            raise Refused(
                [Problem("", f"run {run.pk} is verified and set no rows aside: there is nothing to retry")]
            )
        move(run, states.COPYING, actor, _copy_again, "An operator retried the run: what lacks is copied.")
    ring_after_commit(run)


def _forgive(run: Run) -> None:
    for table in run.tables.all():
        table.chunks.exclude(state="done").update(attempts=1, troubles=0, not_before=None, error="")
        table.chunks.filter(state="claimed").update(seen=None)  # its worker may be about to commit it
    run.steps.filter(state="failed").update(state="waiting", note="")
    if run.stage == "copy" and _others_wrote(run):
        run.tables.update(guarded=True)


def _others_wrote(run: Run) -> bool:
    """Whether another run of the mapping may have brought rows to the target; also where nobody can be asked."""
    try:
        with sessions.connect(run.environment.target_url, purpose="retry", read_only=True) as conn:
            return ledger.others_wrote(conn, run.mapping.name, run.pk)
    except (unreachable.DatabaseUnreachable, psycopg.Error):
        return True


def _copy_again(run: Run) -> None:
    """Every range once more, looking first whether a row is there."""
    begin_phase.enter(run.tables.all(), phases.COPY, cut=False)
    run.tables.update(guarded=True, quarantined=0, sweeps=0, chosen=False)
    late_rows.allow(run)


@refusals.kept("verify")
def verify(run: Run, actor: User, identical: bool = False, *, why: str = "") -> None:
    """Compares source and target again. identical: by the values' binary images, not only by what is equal; why: where
    no operator asked for it."""
    require(run, states.VERIFIED, states.MISMATCH)

    def begin(moved: Run) -> None:
        verifying.begin_comparison(list(moved.tables.all()), identical)
        late_rows.forbid(moved)

    move(run, states.VERIFYING, actor, begin, why)
    ring_after_commit(run)
