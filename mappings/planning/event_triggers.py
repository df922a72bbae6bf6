"""Event triggers: functions of a database that see, and may refuse, each change of its schema."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import psycopg

from mappings.compiling.names.resolve import Databases
from mappings.plan.schema_steps import Step
from mappings.problems import Problem
from mappings.sql import encoded, verbatim

EVENT_TRIGGERS = verbatim("""
SELECT quote_ident(e.evtname), e.evtfoid::regprocedure::text, coalesce(array_to_string(e.evttags, ', '), 'any command')
  FROM pg_event_trigger e WHERE e.evtenabled IN ('O', 'A') AND e.evtevent <> 'login' ORDER BY 1
""")


def of(databases: Databases, steps: Sequence[Step]) -> Iterator[Problem]:
    """Warnings of those of the target, where every run makes tables; of the source only where a step changes it."""
    yield from _of(databases.target, "target")
    if not databases.same and any(step.side == "source" for step in steps):
        yield from _of(databases.source, "source")


def _of(conn: psycopg.Connection, side: str) -> Iterator[Problem]:
    for name, function, tags in conn.execute(encoded(EVENT_TRIGGERS)):
        text = (
            f"the event trigger {name} calls {function} at each change of the {side}'s schema ({tags}): it can refuse"
            " a step of the run, or of its rollback; see that it lets this role pass"
        )
        yield Problem(side, text)
