"""What a browser fetches to show: each notice once, however many pages somebody has open."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.functions import Now

from jobs.models import Notice
from jobs.models.notices import SENT, WAITING

FRESH = timedelta(hours=1)
"""What is older is not shown any more to somebody who comes back: it is on the page."""

AT_ONCE = 5


def fetch(user: User) -> list[dict[str, Any]]:
    """The newest that this person's browsers have not shown yet, oldest first."""
    waiting = Notice.objects.filter(user=user, way="browser", state=WAITING)
    with transaction.atomic():
        fresh = waiting.filter(created__gt=Now() - FRESH).select_for_update(skip_locked=True)
        result = list(fresh.order_by("-pk")[:AT_ONCE])
        if result:
            waiting.filter(pk__lte=result[0].pk).update(state=SENT, sent=Now())
    return [
        {"id": one.pk, "title": one.title, "text": one.text, "path": one.path} for one in reversed(result)
    ]
