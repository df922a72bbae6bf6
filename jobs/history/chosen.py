"""Which entries are asked for, by page and command alike: by whom, of what, when, from where, with what outcome."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from jobs.models import HistoryEntry

ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class HistoryFilters:
    """'' for each that is not asked for. q: letters in any of the texts; since, until: days, the last one included."""

    q: str = ""
    kind: str = ""
    outcome: str = ""
    who: str = ""
    way: str = ""
    mapping: str = ""
    env: str = ""
    run: str = ""
    since: str = ""
    until: str = ""

    @property
    def any(self) -> bool:
        return any(getattr(self, name) for name in self.__slots__)


def chosen(filters: HistoryFilters, accounts: bool = True) -> QuerySet[HistoryEntry]:
    """The entries that all the filters leave, newest first. accounts: with those of accounts and sign-ins."""
    entries = HistoryEntry.objects.order_by("-number")
    if not accounts:
        entries = entries.exclude(kind=ACCOUNT)
    exact = {
        "kind": filters.kind, "outcome": filters.outcome, "actor": filters.who, "way": filters.way,
        "mapping": filters.mapping, "environment": filters.env,
    }  # fmt: skip
    entries = entries.filter(**{name: value for name, value in exact.items() if value})
    if filters.run:
        entries = entries.filter(run=number) if (number := _number(filters.run)) else entries.none()
    if first := day(filters.since):
        entries = entries.filter(at__gte=_midnight(first))
    if last := day(filters.until):
        entries = entries.filter(at__lt=_midnight(last) + timedelta(days=1))
    return _searched(entries, filters.q.strip())


def _searched(result: QuerySet[HistoryEntry], q: str) -> QuerySet[HistoryEntry]:
    if not q:
        return result
    texts = ("text", "verb", "actor", "mapping", "environment", "subject", "place")
    any_text = Q()
    for name in texts:
        any_text |= Q(**{f"{name}__icontains": q})
    number = _number(q)
    return result.filter(any_text | Q(run=number) if number else any_text)


def _number(text: str) -> int | None:
    """A number that a column of numbers may hold."""
    return int(text) if text.isascii() and text.isdecimal() and 0 < len(text) < 19 else None


def day(text: str) -> date | None:
    """A day as YYYY-MM-DD; None for what is none, or before or after all that is kept."""
    try:
        result = date.fromisoformat(text)
    except ValueError:
        return None
    return result if 1900 < result.year < 3000 else None


def _midnight(of: date) -> datetime:
    return datetime.combine(of, time.min, timezone.get_current_timezone())
