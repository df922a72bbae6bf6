"""Takes what is due out of the outbox: each notice is tried some times, ever more seldom, and then given up."""

from __future__ import annotations

import logging
import random
from datetime import timedelta

from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from jobs.history.record import FAILED, About, record
from jobs.models import Notice
from jobs.models.notices import GIVEN_UP, SENT, WAITING
from jobs.notices import mail, webhook
from jobs.notices.failures import Undeliverable, Undelivered

PAUSES = (10, 30, 120, 600, 1800, 3600, 3 * 3600, 6 * 3600)
"""Seconds after each try that failed; after the last of them it is given up."""

LEASE = timedelta(minutes=2)
"""After which a notice whose process died is tried again; longer than any try takes."""

KEPT = timedelta(days=90)
SENDERS = {"mail": mail.send, "webhook": webhook.send}

log = logging.getLogger(__name__)


def due() -> QuerySet[Notice]:
    """What is to be sent now. What is for a browser is fetched by it."""
    return Notice.objects.filter(state=WAITING, way__in=SENDERS, next_at__lte=Now())


def deliver_next() -> bool:
    """Tries one notice that is due; False where there is none."""
    notice = _take()
    if notice is None:
        return False
    try:
        SENDERS[notice.way](notice)
    except Undelivered as error:
        _failed(notice, str(error), isinstance(error, Undeliverable))
    except Exception as error:  # a fault of ours must not make it go round for ever
        log.exception("notice %s", notice.pk)
        _failed(notice, f"a fault of the product itself: {type(error).__name__}", final=False)
    else:
        Notice.objects.filter(pk=notice.pk).update(state=SENT, sent=Now(), error="")
    return True


def _take() -> Notice | None:
    """Leases one: whoever dies with it leaves it to others."""
    with transaction.atomic():
        result = due().select_for_update(skip_locked=True).order_by("next_at", "pk").first()
        if result is None:
            return None
        Notice.objects.filter(pk=result.pk).update(next_at=Now() + LEASE, attempts=F("attempts") + 1)
    return Notice.objects.select_related("user", "webhook").filter(pk=result.pk).first()


def _failed(notice: Notice, why: str, final: bool) -> None:
    mine = Notice.objects.filter(pk=notice.pk)
    if final or notice.attempts > len(PAUSES):
        mine.update(state=GIVEN_UP, error=why)
        about = About(subject=notice.receiver, environment=notice.facts.get("environment") or "")
        record("notice", "given up", f"{notice.title}: {why}", about, FAILED)
        return
    pause = timedelta(seconds=PAUSES[notice.attempts - 1] * random.uniform(0.9, 1.1))
    mine.update(next_at=Now() + pause, error=why)


def try_again(notice: Notice) -> None:
    """Somebody asks for it: all tries anew."""
    Notice.objects.filter(pk=notice.pk).update(state=WAITING, attempts=0, next_at=Now(), error="")


def forget_old() -> None:
    """Takes old notices away; the history stays."""
    Notice.objects.filter(created__lt=Now() - KEPT).exclude(state=WAITING, way__in=SENDERS).delete()
