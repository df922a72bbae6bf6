"""Puts notices into the outbox, one for each receiver that wants to be told. Nothing is sent here."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from django.contrib.auth import get_user_model
from django.db import DatabaseError, transaction
from django.db.models import Q
from django.urls import reverse

from jobs import clock, states
from jobs.history.record import About, of_run
from jobs.models import Notice, Run, Webhook, Wish
from mappings.models import Environment

EVENT_OF = {
    states.VERIFIED: "ended",
    states.ROLLED_BACK: "ended",
    states.CANCELLED: "ended",
    states.FAILED: "failed",
    states.MISMATCH: "failed",
}
"""Which move of a run is which event."""

TROUBLED = {states.PAUSED: "waits", states.ROLLED_BACK: "failed"}
"""The same where the run's own trouble made it: a pause; a rollback whose proof found a difference."""

SAID = {
    states.VERIFIED: "is verified: every migrated row is as the mapping says",
    states.ROLLED_BACK: "is rolled back",
    states.CANCELLED: "was cancelled; what was copied stays until it is rolled back",
    states.FAILED: "failed; its page says why",
    states.MISMATCH: "differs: verification found rows that are not as the mapping says",
    states.PAUSED: "is paused by a trouble and waits for somebody",
}

DIFFERS = "is rolled back, but its proof found a difference that nobody accounts for"

MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """What is told: never a value of a row, nor an error's own words, which may hold one."""

    event: str
    title: str
    text: str
    path: str
    about: About
    status: str = ""


def of_move(run: Run, to: str, troubled: bool) -> None:
    """Tells of a move of a run, where it is one to tell of. Never raises: a run does not depend on it."""
    event = TROUBLED.get(to) if troubled and to in TROUBLED else EVENT_OF.get(to)
    if event is None:
        return
    try:
        with transaction.atomic():
            if to == states.VERIFIED and _was_so_before(run):
                return
            about = of_run(run)
            put(_of_run(about, event, to, DIFFERS if troubled and to == states.ROLLED_BACK else SAID[to]))
            if to == states.VERIFIED:
                _ask_for_promotion(about)
    except DatabaseError as error:
        log.warning("Nobody is told that run %s is %s: %s", run.pk, to, str(error).strip())


def of_wait(run: Run) -> None:
    """Tells that a run has waited for so long that somebody should look. Never raises."""
    try:
        with transaction.atomic():
            about = of_run(run)
            text = (
                f"Run {about.run} of {about.mapping} (revision {about.revision}) in {about.environment} has waited for"
                " some minutes; its page says for what."
            )
            title = f"{about.mapping} in {about.environment}: waits"
            put(Told("waits", title, text, reverse("jobs:run", args=[about.run]), about, run.status))
    except DatabaseError as error:
        log.warning("Nobody is told that run %s waits: %s", run.pk, str(error).strip())


def _was_so_before(run: Run) -> bool:
    """Whether the verification before this one passed as well: what stays green is no news."""
    return list(run.reports.order_by("-pk").values_list("passed", flat=True)[:2]) == [True, True]


def _of_run(about: About, event: str, status: str, said: str) -> Told:
    words = status.replace("_", " ")
    title = f"{about.mapping} in {about.environment}: {words}"
    text = f"Run {about.run} of {about.mapping} (revision {about.revision}) in {about.environment} {said}."
    return Told(event, title, text, reverse("jobs:run", args=[about.run]), about, status)


def _ask_for_promotion(about: About) -> None:
    """What is verified may go on to the environments that come after: who wants to know there is asked for it."""
    for name in Environment.objects.filter(after__name=about.environment).values_list("name", flat=True):
        there = About(about.mapping, about.revision, about.sha256, name, about.run)
        title = f"{about.mapping}: asked for in {name}"
        text = (
            f"{about.mapping} (revision {about.revision}) is verified in {about.environment} by run {about.run}"
            f" and may be reviewed for {name}."
        )
        path = f"{reverse('jobs:review', args=[about.mapping])}?env={name}"
        put(Told("promotion", title, text, path, there))


def of_request(about: About, who: str, comment: str) -> int:
    """A person asks for a mapping in an environment; how many are told. about: the environment that it is asked for."""
    said = f": {comment}" if comment else "."
    text = f"{who} asks for {about.mapping} (revision {about.revision}) in {about.environment}{said}"
    path = f"{reverse('jobs:review', args=[about.mapping])}?env={about.environment}"
    return put(
        Told("promotion", f"{about.mapping}: {who} asks for it in {about.environment}", text, path, about)
    )


def put(told: Told) -> int:
    """One notice for each receiver that wants it; how many. A promotion is for those who may start it."""
    here = Q(environment=None) | Q(environment__name=told.about.environment)
    wishes = Wish.objects.filter(here, events__contains=told.event, user__is_active=True, user__is_staff=True)
    if told.event == "promotion":
        may = get_user_model().objects.with_perm("jobs.change_run", backend=MODEL_BACKEND)
        wishes = wishes.filter(user__in=may.values("pk"))
    wanted = {(user, way) for user, ways in wishes.values_list("user", "ways") for way in ways}
    hooks = Webhook.objects.filter(here, events__contains=told.event, active=True).values_list(
        "pk", flat=True
    )
    notices = [_notice(told, way, user=user) for user, way in sorted(wanted)]
    notices += [_notice(told, "webhook", webhook=hook) for hook in hooks]
    Notice.objects.bulk_create(notices)
    return len(notices)


def _notice(told: Told, way: str, user: int | None = None, webhook: int | None = None) -> Notice:
    about, now = told.about, clock.now()
    facts = {
        "run": about.run, "mapping": about.mapping, "revision": about.revision, "sha256": about.sha256,
        "environment": about.environment, "status": told.status,
    }  # fmt: skip
    return Notice(
        event=told.event, title=told.title[:200], text=told.text, facts=facts, path=told.path[:200], way=way,
        user_id=user, webhook_id=webhook, next_at=now, created=now,
    )  # fmt: skip
