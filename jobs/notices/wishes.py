"""What one person wants to be told, as a table: a row for every environment together, and one for each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import transaction

from jobs.history.record import About, record
from jobs.models import Wish
from jobs.models.notices import EVENTS, WAYS
from mappings.models import Environment

EVERY = "every environment"


@dataclass(frozen=True, slots=True)
class Row:
    """One environment, None for every one: what is wanted there, and how."""

    environment: Environment | None
    events: tuple[str, ...]
    ways: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.environment.name if self.environment else EVERY

    @property
    def key(self) -> str:
        """How its fields in a form are called."""
        return str(self.environment.pk) if self.environment else "all"


def rows_of(user: User) -> tuple[Row, ...]:
    """Every row that there can be; those without a wish are empty."""
    kept = {wish.environment_id: wish for wish in Wish.objects.filter(user=user)}
    places: list[Environment | None] = [None, *Environment.objects.order_by("name")]
    return tuple(
        Row(place, tuple(wish.events), tuple(wish.ways)) if wish else Row(place, (), ())
        for place in places
        for wish in [kept.get(place.pk if place else None)]
    )


def save(user: User, chosen: Mapping[str, tuple[Sequence[str], Sequence[str]]]) -> None:
    """Makes the wishes of somebody what is chosen: by key of a row, events and ways; what is unknown is left out."""
    with transaction.atomic():
        for row in rows_of(user):
            events, ways = chosen.get(row.key, ((), ()))
            wanted = Row(row.environment, _known(events, EVENTS), _known(ways, WAYS))
            if (wanted.events, wanted.ways) != (row.events, row.ways):
                _save(user, wanted)


def _known(chosen: Sequence[str], names: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(name for name in names if name in chosen)


def _save(user: User, row: Row) -> None:
    kept = {"events": list(row.events), "ways": list(row.ways)}
    if row.events or row.ways:
        Wish.objects.update_or_create(user=user, environment=row.environment, defaults=kept)
    else:
        Wish.objects.filter(user=user, environment=row.environment).delete()
    text = f"{row.name}: {', '.join(row.events) or 'nothing'} by {', '.join(row.ways) or 'no way'}"
    record("notice", "wishes changed", text, About(subject=user.get_username()))
