"""A source, a target, an environment and a mapping for a test, worked on in this process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal

import psycopg

from jobs.actions import runs
from jobs.models import Run
from jobs.running import runner
from mappings.language.file import parse
from mappings.models import Environment, Mapping
from mappings.store import save_spec
from tests.conftest import Pair
from tests.journeys.acceptance import Promise, broken

Layout = Literal["one", "two"]
PATIENCE_SECONDS = 120.0


class World:
    """Two databases, one environment that leads to them, and the mapping that was defined last."""

    def __init__(self, pair: Pair, name: str = "local") -> None:
        self.pair = pair
        self.environment = Environment(name=name)
        self.environment.source_url, self.environment.target_url = pair
        self.environment.save()
        self.promises: tuple[Promise, ...] = ()
        self.safe = False  # whether its runs widen the safe way

    def source(self, statements: str) -> list[tuple[object, ...]]:
        """Executes statements in the source; returns the rows of the last, if it has any."""
        return self.on(self.pair.source, statements)

    def target(self, statements: str) -> list[tuple[object, ...]]:
        """Executes statements in the target; returns the rows of the last, if it has any."""
        return self.on(self.pair.target, statements)

    def on(self, url: str, statements: str) -> list[tuple[object, ...]]:
        """Executes statements in that database, in a session of their own."""
        return execute(url, statements)

    def define(self, text: str, *promises: Promise) -> None:
        """Loads a mapping file; promises: what its runs should bring."""
        revision = save_spec(parse(text))
        self.mapping = Mapping.objects.get(pk=revision.mapping_id)
        self.promises = promises

    def start(self) -> Run:
        """A new run, not yet worked on."""
        return runs.start(self.mapping, self.environment, None, safe=self.safe)

    def started(self) -> Run:
        """A new run, worked on until there is nothing left to do."""
        return work(self.start())

    def worked(self, run: Run) -> Run:
        """The run, worked on until there is nothing left to do."""
        return work(run)

    def rolled_back(self, run: Run, force: bool = False) -> Run:
        """The run after its rollback."""
        runs.roll_back(fresh(run), None, force=force)
        return work(run)

    def complaints(self) -> list[str]:
        """What is lost, doubled or wrong in the map, of all promises."""
        return [
            f"{promise.table}: {text}"
            for promise in self.promises
            for text in broken(self.pair.source, self.pair.target, promise)
        ]

    def shape(self) -> list[tuple[object, ...]]:
        """Columns with types and indexes of the target's own tables, to be compared before and after."""
        return self.target(SHAPE)


NewWorld = Callable[[Layout], World]

SHAPE = """
SELECT c.oid::regclass::text, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'migrator', 'pg_toast') AND n.nspname NOT LIKE 'pg_temp%'
   AND c.relkind IN ('r', 'p', 'i') AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY 1, 2
"""


def execute(url: str, statements: str) -> list[tuple[object, ...]]:
    """Executes statements one by one, each committed; returns the rows of the last, if it has any."""
    with psycopg.connect(url, autocommit=True) as conn:
        return answer(conn, statements)


def answer(conn: psycopg.Connection, statements: str) -> list[tuple[object, ...]]:
    """Executes statements in that session; returns the rows of the last, if it has any."""
    cursor = conn.execute(statements.encode())
    while cursor.nextset():
        pass
    return cursor.fetchall() if cursor.description else []


def reported(run: Run) -> list[dict[str, Any]]:
    """The tables of the run's newest report."""
    report = run.reports.first()
    assert report is not None
    return list(report.tables)


def fresh(run: Run) -> Run:
    """The run as it stands in the control database now."""
    return Run.objects.select_related("mapping", "environment", "revision", "started_by").get(pk=run.pk)


def work(run: Run, worker: str = "tester") -> Run:
    """Works on a run in this process until it wants nothing more."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while runner.advance(run.pk, worker, deadline):
        assert time.monotonic() < deadline, f"{fresh(run).status}: {fresh(run).waiting_for}"
    return fresh(run)


def counts(run: Run) -> dict[str, tuple[int, int]]:
    """(inserted, map rows) of each table."""
    return {table.name: (table.inserted, table.map_rows) for table in run.tables.all()}


def said(run: Run) -> list[str]:
    """What the run's events say, in order."""
    return [event.text for event in run.events.all()]
