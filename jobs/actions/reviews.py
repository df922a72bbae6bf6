"""Reviews: plans that are looked at before a start. A quick one is made at once, a long one by a worker.

What was reviewed is what runs: a start from the page freezes the plan of its review.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from jobs import clock
from jobs.models import Review
from jobs.processes import seats, stop_signals
from jobs.running.session import STALE_AFTER, Pulse
from mappings.models import Environment, Mapping, Revision
from mappings.plan.model import Plan
from mappings.planning.drift import drift
from mappings.planning.planner import gated, make_plan, next_run
from mappings.problems import Problem, Refused

QUICK = 30_000.0
"""In the server's own units of cost: measuring that a page can wait for, about half a second."""

USABLE = timedelta(hours=4)
"""How long a review may be started from; values that came since and do not fit are row errors."""

KEPT = timedelta(days=1)

log = logging.getLogger(__name__)


class TakenOver(Exception):
    """Another worker has this review now."""


def ask(
    revision: Revision, environment: Environment, tables: Sequence[str], plan: Plan | None, safe: bool = False
) -> Review:
    """Remembers a review: done with its plan, or waiting for a worker."""
    Review.objects.filter(
        revision__mapping=revision.mapping, environment=environment, created__lt=clock.now() - KEPT
    ).delete()
    return Review.objects.create(
        created=clock.now(),
        revision=revision, environment=environment, selected=list(tables), safe=safe,
        state="done" if plan else "waiting", long=plan is None, plan=plan and plan.to_json(),
        finished=clock.now() if plan else None,
    )  # fmt: skip


def latest(
    mapping: Mapping, environment: Environment, tables: Sequence[str], safe: bool = False
) -> Review | None:
    """The last long review of this revision, environment, choice of tables and way that is under way or may be used.

    Refused where a database cannot be reached to see whether the tables are as they were.
    """
    reviews = Review.objects.filter(environment=environment, selected=list(tables), safe=safe, long=True)
    if mapping.latest_revision is None:
        return None
    reviews = reviews.filter(revision=mapping.latest_revision, created__gt=clock.now() - USABLE)
    last = reviews.select_related("revision", "environment").order_by("-pk").first()
    if last and last.plan and drift(Plan.from_json(last.plan), last.revision, last.environment):
        return None
    return last


def usable_plan(review: Review) -> Plan:
    """The plan of a review as a start may freeze it. Refused where the tables are not as they were, or it is old."""
    if review.plan is None or review.created < clock.now() - USABLE:
        raise Refused([Problem("", "the plan that you reviewed is too old by now; look at it again")])
    if review.revision != review.revision.mapping.latest_revision:
        raise Refused([Problem("", "the mapping was changed after you reviewed it; look at it again")])
    plan = Plan.from_json(review.plan)
    if changes := drift(plan, review.revision, review.environment):
        raise Refused(changes)
    return gated(next_run(plan, review.environment), review.environment)


# ---- what a worker does


def waiting() -> QuerySet[Review]:
    """Reviews that want a worker: new ones, and those whose worker gave no sign of life lately."""
    abandoned = Q(state="measuring", seen__lt=Now() - STALE_AFTER)
    return Review.objects.filter(Q(state="waiting") | abandoned)


def work(worker: str) -> None:
    """Makes the plans of all reviews that wait, one after the other."""
    for review in waiting().select_related("revision", "environment").order_by("pk"):
        token = seats.new_token(worker)
        taken = waiting().filter(pk=review.pk).update(
            state="measuring", worker=token, seen=Now(), tables_done=0, tables_total=0, doing=""
        )  # fmt: skip
        if taken and not stop_signals.requested():
            _make(review, token)


def _make(review: Review, token: str) -> None:
    mine = Review.objects.filter(pk=review.pk, worker=token, state="measuring")

    def tell(table: str, done: int, total: int) -> None:
        if not mine.update(doing=table, tables_done=done, tables_total=total, seen=Now()):
            raise TakenOver

    try:
        with Pulse(token):
            tables = review.selected or None
            plan = make_plan(review.revision, review.environment, tables, tell, safe=review.safe)
        mine.update(state="done", plan=plan.to_json(), finished=Now(), doing="")
    except TakenOver:
        log.warning("Review %s was taken over by another worker", review.pk)
    except Refused as refusal:
        problems = [[problem.path, problem.text] for problem in refusal.problems]
        mine.update(state="failed", problems=problems, finished=Now())
    except Exception as error:
        log.exception("review %s failed", review.pk)
        mine.update(state="failed", problems=[["", f"measuring failed: {error}"]], finished=Now())
