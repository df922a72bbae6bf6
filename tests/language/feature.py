"""One feature of the mapping language, taken the whole way: there, back, and there again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import psycopg

from jobs.actions import runs as actions
from jobs.models import Run
from mappings.plan.model import Plan
from tests.conftest import Pair
from tests.journeys.world import World, answer, fresh, work

Rows = list[tuple[object, ...]]
Expected = Mapping[str, Sequence[tuple[object, ...]]]
Counts = dict[str, tuple[int, int, int, int]]
"""(inserted, updated, kept, quarantined) by table mapping."""

SCHEMA = """
SELECT 'column', a.attrelid::regclass::text, a.attname::text, format_type(a.atttypid, a.atttypmod),
       concat_ws(' ', a.attnotnull, a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid), a.attcollation)
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (c.oid, attnum)
 WHERE c.relnamespace = to_regnamespace('{0}') AND c.relkind IN ('r', 'p') AND attnum > 0 AND NOT a.attisdropped
UNION ALL SELECT 'index', indrelid::regclass::text, indexrelid::regclass::text, pg_get_indexdef(indexrelid),
       indisvalid::text
  FROM pg_index JOIN pg_class c ON c.oid = indrelid WHERE c.relnamespace = to_regnamespace('{0}')
UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated::text
  FROM pg_constraint WHERE connamespace = to_regnamespace('{0}')
UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(t.oid), tgenabled::text
  FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
 WHERE c.relnamespace = to_regnamespace('{0}') AND NOT tgisinternal
ORDER BY 1, 2, 3, 4"""

TABLES = """
SELECT c.oid::regclass::text FROM pg_class c WHERE c.relnamespace = to_regnamespace('{0}')
   AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1"""

CLAIMS = """
SELECT (SELECT count(*) FROM migrator.migration_map) + (SELECT count(*) FROM migrator.ledger)
     + (SELECT count(*) FROM migrator.before_image) + (SELECT count(*) FROM migrator.quarantine)
     + (SELECT count(*) FROM migrator.schema_step WHERE undone_at IS NULL)"""


class Feature(World):
    """A world with a schema `old` in its source and a schema `new` in its target."""

    def __init__(self, pair: Pair, name: str = "local") -> None:
        super().__init__(pair, name)
        self.sessions: dict[str, psycopg.Connection] = {}
        self.source("CREATE SCHEMA old")
        self.target("CREATE SCHEMA new")
        self.chunk_rows = 0

    def on(self, url: str, statements: str) -> Rows:
        """In one session a database: opening one takes longer than most statements."""
        session = self.sessions.get(url) or self.sessions.setdefault(
            url, psycopg.connect(url, autocommit=True)
        )
        session.execute("RESET ALL")
        return answer(session, statements)

    def close(self) -> None:
        """Ends the sessions."""
        for session in self.sessions.values():
            session.close()

    @property
    def one(self) -> bool:
        """Whether source and target are one database."""
        return self.pair.source == self.pair.target

    def given(self, source: str, target: str, mapping: str, chunk_rows: int = 0) -> None:
        """Fills both sides and loads the mapping; chunk_rows: the size of a chunk, so that there are several."""
        self.source(f"SET search_path = old; {source}")
        self.target(f"SET search_path = new; {target}")
        self.define(f"version: 1\nname: feature\n{mapping}")
        self.chunk_rows = chunk_rows

    def given_recipe(self, heading: str, source: str = "", target: str = "", mapping: str = "") -> None:
        """Fills both sides as docs/recipes.md says under a heading, and a little more; loads its mapping."""
        first, second, file = recipe("recipes.md", heading)[:3]
        self.given(
            f"{first}; {source}",
            f"{second}; {target}",
            file.partition("name: ")[2].partition("\n")[2] + mapping,
        )

    def plan(self) -> Plan:
        """What Start would freeze."""
        return actions.review(self.mapping, self.environment, safe=self.safe)

    def warnings(self) -> str:
        """The plan's warnings, with their paths."""
        return "\n".join(f"{warning.path}: {warning.text}" for warning in self.plan().warnings)

    def blockers(self) -> str:
        """The plan's blockers, with their paths."""
        return "\n".join(f"{blocker.path}: {blocker.text}" for blocker in self.plan().blockers)

    def run(self) -> Run:
        """A new run, worked on until there is nothing left to do."""
        run = self.start()
        if self.chunk_rows:
            run.tables.update(chunk_rows=self.chunk_rows)
        return work(run)

    def verified(self) -> Run:
        """A new run that must end verified."""
        run = self.run()
        assert run.status == "verified", explained(run)
        return run

    def state(self) -> tuple[tuple[Rows, dict[str, Rows]], ...]:
        """Every row and the whole schema of both sides, as texts."""
        return tuple(self._side(url, schema) for url, schema in zip(self.pair, ("old", "new"), strict=True))

    def _side(self, url: str, schema: str) -> tuple[Rows, dict[str, Rows]]:
        tables = [str(name) for (name,) in self.on(url, TABLES.format(schema))]
        rows = {name: self.on(url, f"SELECT (t.*)::text FROM {name} t ORDER BY 1") for name in tables}
        return self.on(url, SCHEMA.format(schema)), rows

    def expect(self, expected: Expected) -> None:
        """expected: rows by a query of the target, or by a table's name for all columns that were there before."""
        for query, rows in expected.items():
            assert (query, self.target(f"SET search_path = new; {query}")) == (query, rows)

    def check(self, expected: Expected, counts: Counts | None = None, again: Counts | None = None) -> Run:
        """There, back, there again; across two databases, or where `again` is given, once more, which brings nothing.

        counts: of the runs there; again: of the last. Returns the second run there.
        """
        before = self.state()
        self.undo(self.brings(expected, counts))
        assert self.state() == before
        there = self.brings(expected, counts)
        if again is not None or not self.one:
            last = self.brings(expected, again)
            assert {name: count[0] for name, count in counted(last).items() if count[0]} == {}, "doubled"
        return there

    def brings(self, expected: Expected, counts: Counts | None = None) -> Run:
        """A new run that must end verified, with those rows in the target."""
        run = self.verified()
        self.expect(expected)
        assert counts is None or counted(run) == counts
        return run

    def undo(self, *runs: Run) -> None:
        """Rolls runs back, one after the other, after which nothing may claim to be migrated."""
        for run in runs:
            assert self.rolled_back(run).status == "rolled_back", explained(fresh(run))
        assert self.target(CLAIMS) == [(0,)]


def recipe(page: str, heading: str = "") -> list[str]:
    """The fenced blocks of a page of the docs under a heading: what people are shown is what is run."""
    text = (Path(__file__).parents[2] / "docs" / page).read_text().partition(f"# {heading}")[2]
    return re.findall(r"^```\w+\n(.*?)^```", text.partition("\n## ")[0], flags=re.MULTILINE | re.DOTALL)


def counted(run: Run) -> Counts:
    """(inserted, updated, kept, quarantined) by table mapping."""
    return {
        table.name: (table.inserted, table.updated, table.kept, table.quarantined)
        for table in run.tables.all()
    }


def explained(run: Run) -> str:
    """Why a run is not verified: its error, and what verification found."""
    report = run.reports.first()
    found: Sequence[object] = [
        (table["name"], [check for check in table["checks"] if not check["passed"]], table["samples"])
        for table in (report.tables if report else [])
    ]
    return f"{run.status}: {run.error} {[e.text for e in run.events.filter(level='error')]} {found}"
