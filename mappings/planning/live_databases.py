"""Sessions with both databases of an environment, for looking at them: nothing is written."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from mappings.catalog import tables as catalog
from mappings.catalog.describe import complaint
from mappings.catalog.kept import Store, keep
from mappings.compiling.names.resolve import Databases
from mappings.connections import sessions as databases
from mappings.connections import unreachable
from mappings.models import Environment
from mappings.problems import Problem, Refused

PLANNING_TIMEOUT_MS = 3_600_000
"""How long one statement of planning may take, scans for measuring included."""

ESTIMATE_TIMEOUT_MS = 2_000
"""The same while somebody waits for estimates: what takes longer is not measured."""

PLANNED_ONCE = "SET plan_cache_mode = force_generic_plan"
"""The catalogs are asked the same of each table: to plan such a query takes several times as long as to answer it."""


@contextmanager
def connected(environment: Environment, *, in_haste: bool = False) -> Iterator[Databases]:
    """Both databases of an environment, for reading each thing once. Refused where one cannot be reached, or a table is
    locked.

    in_haste: somebody waits for estimates, so no statement may take long.
    """
    timeout_ms = ESTIMATE_TIMEOUT_MS if in_haste else PLANNING_TIMEOUT_MS
    with (
        reading("source", environment.source_url, timeout_ms) as source,
        reading("target", environment.target_url, timeout_ms) as target,
    ):
        for conn in (source, target):
            conn.execute(PLANNED_ONCE)
            keep(conn, Store(math.inf))
        try:
            yield Databases(source, target, databases.same_database(source, target), environment.parameters)
        except psycopg.errors.LockNotAvailable as error:
            result = dict.fromkeys(who for side in (target, source) if (who := catalog.lockers(side)))
            text = f"the tables cannot be looked at: {'; '.join(result) or 'one is locked'}"
            raise Refused([Problem("", text)]) from error
        except psycopg.Error as error:
            raise Refused([Problem("", f"the tables cannot be looked at: {complaint(error)}")]) from error


def reading(side: str, url: str, timeout_ms: int = PLANNING_TIMEOUT_MS) -> psycopg.Connection[Any]:
    try:
        return databases.connect(url, purpose="planning", read_only=True, statement_timeout_ms=timeout_ms)
    except unreachable.DatabaseUnreachable as error:
        raise Refused([Problem(side, str(error))]) from error
