"""Nothing is quadratic: each act on n rows and on four times as many, for each kind of link, policy, key and layout.

Cases are few, and made so that each pair of two of these kinds occurs. What is measured is CPU, of both servers and of
this process, which works on the runs itself: it does not depend on how busy others are, and rests do not count.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, product
from typing import TYPE_CHECKING

from jobs.actions import repairs, runs
from jobs.models import Run
from jobs.running import runner
from mappings.models import Mapping
from tests.bench import cost
from tests.bench import product as driven
from tests.bench.data import empty_target
from tests.bench.product import Layout, Place
from tests.bench.servers import execute

if TYPE_CHECKING:
    from tests.bench.parts import Bench

SIZES = (200, 50)
"""As divisors of ROWS: 10,000 and 40,000 rows by default."""

MOST_GROWTH = 5.0
TOO_QUICK = 0.3
"""Seconds of CPU for the larger size below which nothing is said of growth."""

PATIENCE_SECONDS = 600.0

LINKS = {
    "source id and map": "",
    "source id": "link: {map: false},",
    "map": "link: {source_id: false},",
}
EXISTING = {"none there": "", "update": "update", "keep": "keep"}
ON_ERROR = ("stop", "quarantine")
KEYS = {  # columns of the key, values for the nth row
    "bigint": ("id bigint", "n", "id"),
    "uuid": ("id uuid", "md5(n::text)::uuid", "id"),
    "text": ("id text", "'k-' || md5(n::text)", "id"),
    "composite": ("region integer, id bigint", "n % 7, n", "region, id"),
    "content": ("id bigint", "n", ""),
}
LAYOUTS: tuple[Layout, ...] = ("one", "two")


@dataclass(frozen=True, slots=True)
class Case:
    """One choice of each kind."""

    link: str
    existing: str
    on_error: str
    key: str
    layout: Layout

    def __str__(self) -> str:
        return ", ".join((self.layout, self.key, self.link, self.existing, self.on_error))

    @property
    def is_possible(self) -> bool:
        """Whether a mapping may say so."""
        return not (self.key == "content" and self.existing != "none there")


def cases() -> list[Case]:
    """As few as have every pair of two choices in one of them."""
    every = [Case(*one) for one in product(LINKS, EXISTING, ON_ERROR, KEYS, LAYOUTS)]
    possible = [one for one in every if one.is_possible]
    wanted = {pair for one in possible for pair in _pairs(one)}
    found: list[Case] = []
    while wanted:
        best = max(possible, key=lambda one: len(wanted & _pairs(one)))
        found.append(best)
        wanted -= _pairs(best)
    return found


def _pairs(case: Case) -> set[tuple[tuple[str, str], ...]]:
    choices = [(name, getattr(case, name)) for name in ("link", "existing", "on_error", "key", "layout")]
    return set(combinations(choices, 2))


def growth(bench: Bench, round_: int) -> None:
    """A line for each act of each case, once."""
    if round_:
        return
    bench.workers.resize(0)  # this process works itself
    for case in cases():
        place = bench.place(case.layout)
        for size in SIZES:
            rows = max(100, bench.rows // size)
            _fill(bench, place, case, rows)
            mapping = driven.mapping(_file(case))
            for act, seconds in _acts(bench, place, mapping, case):
                line = bench.sheet.line(f"{act}, {case}: 4 n / n", bar=MOST_GROWTH)
                line.fatal = True
                (line.limit if size == SIZES[0] else line.ours).append(seconds)
            _empty(place)
    bench.sheet.leave_out(lambda line: bool(line.ours) and line.middle(line.ours) < TOO_QUICK)


def _acts(bench: Bench, place: Place, mapping: Mapping, case: Case) -> Iterator[tuple[str, float]]:
    """What a table goes through, each act with its seconds of CPU."""
    measured = Measured(bench)
    yield measured("plan", lambda: runs.review(mapping, place.environment))
    run = runs.start(mapping, place.environment, None)
    yield measured("start", lambda: work(run))
    execute(place.source, "UPDATE legacy.grown SET amount = '7' WHERE amount = 'many'")
    if Run.objects.get(pk=run.pk).status != "verified" or case.on_error == "quarantine":
        runs.retry(fresh(run), None)
        yield measured("retry", lambda: work(run, "verified"))
    again = runs.start(mapping, place.environment, None)
    yield measured("start again", lambda: work(again, "verified"))
    runs.verify(fresh(run), None)
    yield measured("verify", lambda: work(run, "verified"))
    _damage(place)
    runs.verify(fresh(run), None)
    yield measured("verify what differs", lambda: work(run, "mismatch"))
    repairs.repair(fresh(run), None)
    yield measured("repair", lambda: work(run, "verified"))
    for title, one in (("roll back what came later", again), ("roll back", run)):
        runs_back(one)
        yield measured(title, lambda one=one: work(one, "rolled_back"))  # type: ignore[misc]


def runs_back(run: Run) -> None:
    """Asks for a rollback, whoever changed rows since."""
    from jobs.actions import rollbacks

    rollbacks.roll_back(fresh(run), None, force=True)


@dataclass
class Measured:
    """Acts with their seconds of CPU."""

    bench: Bench

    def __call__(self, title: str, act: Callable[[], object]) -> tuple[str, float]:
        before = self._used()
        act()
        return title, self._used() - before

    def _used(self) -> float:
        return cost.of(self.bench.servers.pids) + time.process_time()


def fresh(run: Run) -> Run:
    """The run as it stands in the control database now."""
    return Run.objects.select_related("mapping", "environment", "revision").get(pk=run.pk)


def work(run: Run, wanted: str = "") -> None:
    """Works on a run until it wants nothing more."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while runner.advance(run.pk, "bench", deadline):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{run} takes longer than {PATIENCE_SECONDS:.0f} s")
    found = fresh(run)
    if wanted and found.status != wanted:
        report = found.reports.first()
        raise RuntimeError(
            f"{found} is {found.status} instead of {wanted}: {found.error} {report and report.tables}"
        )


def _file(case: Case) -> str:
    existing = f"existing: {{match: [code], then: {case.existing}}}," if EXISTING[case.existing] else ""
    key = "key: content," if case.key == "content" else ""
    return f"""
version: 1
name: grown
on_error: {case.on_error}
tables:
  - {{name: grown, source: legacy.grown, target: app.grown, {key} {LINKS[case.link]} {existing}
      columns: {{code: code, label: {{expr: "upper(label)"}}, amount: amount}}}}
"""


def _fill(bench: Bench, place: Place, case: Case, rows: int) -> None:
    """One source row in a thousand is no number; half of the rows are in the target already, where they may be."""
    declared, values, names = KEYS[case.key]
    primary = f", PRIMARY KEY ({names})" if names else ""
    execute(
        place.source,
        "DROP TABLE IF EXISTS legacy.grown",
        f"CREATE TABLE legacy.grown ({declared}, code int, label text, amount text{primary})",
        f"INSERT INTO legacy.grown SELECT {values}, n, 'label ' || n,"
        f" CASE WHEN n % 1000 = 500 THEN 'many' ELSE n::text END FROM generate_series(1, {rows}) AS n",
        "VACUUM (ANALYZE) legacy.grown",
    )
    bench.start_over(place)
    execute(
        place.target,
        "CREATE TABLE app.grown (key bigserial PRIMARY KEY, code int UNIQUE, label text, amount int)",
    )
    if EXISTING[case.existing]:
        execute(
            place.target,
            f"INSERT INTO app.grown (code, label, amount) SELECT n, 'there', n FROM generate_series(1, {rows}, 2) AS n",
            "VACUUM (ANALYZE) app.grown",
        )


def _damage(place: Place) -> None:
    """Each tenth row changed, each twentieth of those taken away that nobody else needs."""
    execute(place.target, "UPDATE app.grown SET label = 'other' WHERE code % 10 = 4",
            "DELETE FROM app.grown WHERE code % 20 = 6")  # fmt: skip


def _empty(place: Place) -> None:
    execute(place.source, "DROP TABLE IF EXISTS legacy.grown")
    empty_target(place.target)
