"""Which databases an environment really leads to: recognised by their servers, not by addresses or labels."""

from __future__ import annotations

from collections.abc import Iterator

from mappings.connections import sessions
from mappings.connections.unreachable import DatabaseUnreachable
from mappings.models import Environment
from mappings.problems import Problem, Refused

STATEMENT_TIMEOUT_MS = 5000
UNKNOWN = (DatabaseUnreachable, Refused)

Places = tuple[str, str]
"""Source and target, each as cluster and name."""


def place(identity: str) -> str:
    """The cluster and name of an identity (databases.identity), without the oid: a restored database has another."""
    parts = identity.split("/", 2)
    return f"{parts[0]}/{parts[2]}" if len(parts) == 3 else identity


def places(environment: Environment) -> Places | None:
    """Where the environment leads to now; None where a database does not answer."""
    try:
        result = [place(_identity(url)) for url in (environment.source_url, environment.target_url)]
    except UNKNOWN:
        return None
    return result[0], result[1]


def _identity(url: str) -> str:
    with sessions.connect(
        url, purpose="identity", read_only=True, statement_timeout_ms=STATEMENT_TIMEOUT_MS
    ) as conn:
        return sessions.identity(conn)


def shared_target(environment: Environment) -> list[Problem]:
    """A blocker if another environment of its chain writes to the same database: no test of the one for the other.

    Databases that do not answer cannot be told apart; a run asks again, and cannot start without them.
    """
    others = chain(environment)
    return [
        Problem(
            "", f"{environment} and {other} lead to the same target database; neither can stand for the other"
        )
        for other in others
        if _meet(environment, other)
    ]


def _meet(one: Environment, other: Environment) -> bool:
    try:
        with (
            sessions.connect(one.target_url, purpose="identity", read_only=True) as target,
            sessions.connect(other.target_url, purpose="identity", read_only=True) as other_target,
        ):
            return sessions.same_database(target, other_target)
    except UNKNOWN:
        return False


def chain(environment: Environment) -> list[Environment]:
    """The environments that come before it, nearest first, and after it."""
    before, at = [], environment.after
    while at is not None and at not in before and at.pk != environment.pk:
        before.append(at)
        at = at.after
    return [*before, *_followers(environment, set())]


def _followers(environment: Environment, seen: set[int]) -> Iterator[Environment]:
    if environment.pk is None:
        return
    for follower in environment.followers.exclude(pk__in=[*seen, environment.pk]):
        yield follower
        yield from _followers(follower, {*seen, environment.pk, follower.pk})
