"""Two people, or two tabs, on an environment: what was saved since a page was opened is not undone in silence.

A page carries, signed, what it was filled with. On saving that is compared with what is stored by now.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core import signing
from django.db.models import Model
from django.utils import timezone
from django.utils.crypto import salted_hmac

from mappings.models import Environment

SALT = "mappings.forms.meanwhile"
MOST_NAMED = 8
LONGEST_VALUE = 60
NOT_SHOWN = {"id", "created", "updated", "source_url_encrypted", "target_url_encrypted"}
SECRET = ("source address", "target address")

Shown = dict[str, Any]
"""What a page shows, by what it is called there."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a page was filled with, and when."""

    shown: Shown
    at: datetime


def shown_of(stored: Environment) -> Shown:
    """What the page of an environment shows of it."""
    addresses = {f"{side} address": _secret(stored, side) for side in ("source", "target")}
    return dict(_fields(stored)) | addresses


def _fields(stored: Environment) -> Iterator[tuple[str, Any]]:
    for field in stored._meta.concrete_fields:
        if field.name not in NOT_SHOWN:
            value = getattr(stored, field.name)
            yield str(field.verbose_name).lower(), str(value) if isinstance(value, Model) else value


def _secret(environment: Environment, side: str) -> str:
    """Tells one address from another, and nothing else."""
    return salted_hmac(SALT, getattr(environment, f"{side}_url_encrypted")).hexdigest()


def token(stored: Environment) -> str:
    """What the page carries."""
    return signing.dumps([shown_of(stored), timezone.now().isoformat()], salt=SALT, compress=True)


def seen_in(text: str) -> Seen | None:
    """What a page was filled with; None where it does not say, or somebody else made it up."""
    try:
        shown, at = signing.loads(text, salt=SALT)
    except signing.BadSignature:
        return None
    return Seen(shown, datetime.fromisoformat(at))


def changes(stored: Environment, text: str) -> list[str]:
    """Who changed what since the page was opened that carries `text`, as sentences; none if nobody did."""
    seen = seen_in(text)
    if seen is None:
        return ["This page does not say what it was made from. Open it anew and save again."]
    now = shown_of(stored)
    moved = [name for name in {**seen.shown, **now} if seen.shown.get(name) != now.get(name)]
    if not moved:
        return []
    told = [_told(name, seen.shown, now) for name in moved[:MOST_NAMED]]
    if len(moved) > MOST_NAMED:
        told.append(f"and {len(moved) - MOST_NAMED} more")
    return [
        f"{_who(stored, seen.at)} Nothing of yours is saved yet, and all that you typed is still here."
        " Save again to put it in place of theirs.",
        *told,
    ]


def _told(name: str, before: Shown, now: Shown) -> str:
    if name in SECRET:
        return f"{name}: is another one now"
    if name not in now:
        return f"{name}: is gone"
    if name not in before:
        return f"{name}: is new, {_short(now[name])}"
    return f"{name}: was {_short(before[name])}, is now {_short(now[name])}"


def _short(value: object) -> str:
    text = str(value) if value not in ("", None) else "empty"
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _who(stored: Environment, since: datetime) -> str:
    """Who saved it since, by the log of the pages; commands write none."""
    entries = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(stored),
        object_id=str(stored.pk),
        action_time__gt=since,
    )
    noted = [(entry.action_time, entry.user.get_username()) for entry in entries.select_related("user")]
    noted = noted or [(stored.updated, "a command")]
    names = list(dict.fromkeys(name for _, name in sorted(noted)))
    last = max(noted)[0]
    return f"{' and '.join(names)} changed this at {last:%H:%M:%S} UTC, after you opened it."
