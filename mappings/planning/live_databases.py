"""Sessions with both databases of an environment, for looking at them: nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from mappings.catalog import tables as catalog
from mappings.catalog.describe import complaint
from mappings.compiling.resolve import Databases
from mappings.connections import sessions as databases
from mappings.connections import unreachable
from mappings.models import Environment
from mappings.problems import Problem, Refused

PLANNING_TIMEOUT_MS = 3_600_000
"""How long one statement of planning may take, scans for measuring included."""


@contextmanager
def connected(environment: Environment) -> Iterator[Databases]:
    """Both databases of an environment, for reading. Refused where one cannot be reached, or a table is locked."""
    with (
        reading("source", environment.source_url) as source,
        reading("target", environment.target_url) as target,
    ):
        try:
            yield Databases(source, target, databases.same_database(source, target), environment.parameters)
        except psycopg.errors.LockNotAvailable as error:
            found = dict.fromkeys(who for side in (target, source) if (who := catalog.lockers(side)))
            text = f"the tables cannot be looked at: {'; '.join(found) or 'one is locked'}"
            raise Refused([Problem("", text)]) from error
        except psycopg.Error as error:
            raise Refused([Problem("", f"the tables cannot be looked at: {complaint(error)}")]) from error


def reading(side: str, url: str) -> psycopg.Connection[Any]:
    try:
        return databases.connect(
            url, purpose="planning", read_only=True, statement_timeout_ms=PLANNING_TIMEOUT_MS
        )
    except unreachable.DatabaseUnreachable as error:
        raise Refused([Problem(side, str(error))]) from error
