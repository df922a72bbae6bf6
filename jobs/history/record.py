"""The door by which entries come into the history: in the transaction of what they tell, so that neither is alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth import models as accounts
from django.db import connection

from jobs.history import origin
from jobs.models import HistoryEntry, Run
from mappings.problems import Problem
from mappings.sql import compose, ident, joined, verbatim

LONGEST_TEXT = 2_000
MOST_PROBLEMS = 5
DONE, REFUSED, FAILED, DIFFERS = HistoryEntry.OUTCOMES

FIELDS = (
    "kind", "verb", "outcome", "actor", "way", "place", "address", "mapping", "revision", "sha256", "environment",
    "run", "subject", "text",
)  # fmt: skip
"""What is given; the number, the time and the hashes are the database's."""

ADD = compose(
    "INSERT INTO jobs_historyentry ({}) VALUES ({})",
    joined(", ", map(ident, FIELDS)),
    joined(", ", [verbatim("%s")] * len(FIELDS)),
)


@dataclass(frozen=True, slots=True)
class About:
    """What something was done to, by name; '' and None for what it was not about."""

    mapping: str = ""
    revision: int | None = None
    sha256: str = ""
    environment: str = ""
    run: int | None = None
    subject: str = ""


NOTHING = About()


def record(
    kind: str,
    verb: str,
    text: str = "",
    about: About = NOTHING,
    outcome: str = DONE,
    actor: accounts.User | None = None,
) -> None:
    """Adds an entry. actor: where it is known better than by who acts now."""
    now = origin.current()
    who = actor.get_username() if actor else now.who
    given: dict[str, Any] = {
        "kind": kind, "verb": verb, "outcome": outcome, "actor": who, "way": now.way, "place": now.place,
        "address": now.address, "text": text[:LONGEST_TEXT],
        **{name: getattr(about, name) for name in About.__slots__},
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(ADD, [_fitting(name, given[name]) for name in FIELDS])


def _fitting(name: str, value: Any) -> Any:
    """As the column takes it: what is recorded must never stand in the way of what is done."""
    if not isinstance(value, str):
        return value
    longest = HistoryEntry._meta.get_field(name).max_length  # type: ignore[union-attr]
    return value.replace("\0", "")[:longest]


def of_run(run: Run) -> About:
    """A run by its names, in one query and without reading what is large."""
    names = ("mapping__name", "revision__number", "revision__sha256", "environment__name")
    mapping, number, sha256, environment = Run.objects.values_list(*names).get(pk=run.pk)
    return About(mapping, number, sha256, environment, run.pk)


def reasons(problems: tuple[Problem, ...]) -> str:
    """Why something was refused, as one text."""
    said = [str(problem) for problem in problems[:MOST_PROBLEMS]]
    more = len(problems) - len(said)
    return "; ".join([*said, *([f"and {more} more"] if more else [])])
