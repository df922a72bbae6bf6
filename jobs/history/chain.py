"""Whether the history is whole: no entry altered, taken away, put in between or cut off at the end."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from jobs import clock
from jobs.models import HistoryEntry, HistoryHead, HistoryWatch

HASHED = (
    "number", "at", "kind", "verb", "outcome", "actor", "way", "place", "address", "mapping", "revision", "sha256",
    "environment", "run", "subject", "text", "previous",
)  # fmt: skip
"""What the hash of an entry is of, in this order: its SHA-256 is that of these as one JSON array."""

WATCH = 1
AT_ONCE = 5_000
"""Entries that the sweeper looks at in one go: about 50 ms."""

EVERY = timedelta(seconds=30)
MOST_BREAKS = 20


@dataclass(frozen=True, slots=True)
class Link:
    """Where a look at the chain has come to: an entry and its hash."""

    number: int = 0
    hash: str = ""


def moment(at: datetime) -> str:
    """As it is hashed and exported."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def digest(values: dict[str, Any]) -> str:
    """The hash that an entry of these values must have; `at` as text."""
    listed = [values[name] for name in HASHED]
    return hashlib.sha256(json.dumps(listed, ensure_ascii=False).encode()).hexdigest()


def breaks(entries: Iterable[dict[str, Any]], link: Link) -> Iterator[tuple[Link, str]]:
    """For each entry the link that it is, with what is wrong there as a sentence; '' where nothing is."""
    for values in entries:
        at = values["at"]
        given = {**values, "at": moment(at) if isinstance(at, datetime) else at}
        wrong = _wrong(given, link)
        link = Link(given["number"], given["hash"])
        yield link, wrong


def _wrong(values: dict[str, Any], before: Link) -> str:
    number = values["number"]
    missing = number - before.number - 1
    if missing > 0:
        last = f" to {number - 1}" if missing > 1 else ""
        return f"entry {before.number + 1}{last} is missing"
    if digest(values) != values["hash"]:
        return f"entry {number} was altered: its hash is not that of what it says"
    if values["previous"] != before.hash:
        return f"entry {number} does not follow entry {before.number} as that is now"
    return ""


def check() -> tuple[int, list[str]]:
    """Looks at the whole chain: how many entries there are, and what is wrong, as sentences in order."""
    link, result, count = Link(), [], 0
    head = HistoryHead.objects.first()
    for at, wrong in breaks(_entries(head).iterator(AT_ONCE), link):
        link, count = at, count + 1
        if wrong:
            result.append(wrong)
    return count, [*result, *_cut_off(link, head)]


def _entries(head: HistoryHead | None, after: int = 0) -> Any:
    """Those that were there when the head was read: whoever adds more is not kept waiting."""
    entries = HistoryEntry.objects.filter(number__gt=after)
    if head:
        entries = entries.filter(number__lte=max(head.number, 1))
    return entries.order_by("number").values(*HASHED, "hash")


def _cut_off(last: Link, head: HistoryHead | None) -> list[str]:
    """What is wrong at the end."""
    if head is None:
        return ["the record of where the history ends is missing"] if last.number else []
    if head.number > last.number:
        return [f"entry {last.number + 1} up to {head.number}, the last ones, are missing"]
    if (head.number, head.hash) != (last.number, last.hash):
        return [f"the history should end with entry {head.number} as it was added, and does not"]
    return []


def watch() -> None:
    """The sweeper's look at the next entries: round by round over the whole chain, a little at a time."""
    HistoryWatch.objects.get_or_create(id=WATCH)
    due = HistoryWatch.objects.filter(id=WATCH).exclude(looked_at__gt=Now() - EVERY)
    if not due.update(looked_at=Now()):
        return
    with transaction.atomic():
        at = HistoryWatch.objects.select_for_update().get(id=WATCH)
        _look_on(at)
        at.save()


def _look_on(at: HistoryWatch) -> None:
    head, last, seen = HistoryHead.objects.first(), Link(at.number, at.hash), 0
    for link, wrong in breaks(_entries(head, at.number)[:AT_ONCE], last):
        last, seen = link, seen + 1
        if wrong and len(at.broken) < MOST_BREAKS:
            at.broken.append(wrong)
    at.number, at.hash = last.number, last.hash
    if seen < AT_ONCE:
        at.last_broken, at.last_number = [*at.broken, *_cut_off(last, head)], last.number
        at.last_at, at.number, at.hash, at.broken = clock.now(), 0, "", []
