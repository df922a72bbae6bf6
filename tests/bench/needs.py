"""What people's data needs, on n rows and on four times as many: values by what is taken, places of a list, a parent in
one of several tables, ids inside values, lists that become rows; and each against the same table copied as it is.

As in `growth` what is measured is CPU, of both servers and of this process.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from jobs.actions import runs
from mappings.models import Mapping
from tests.bench import product as driven
from tests.bench.data import empty_target
from tests.bench.growth import MOST_GROWTH, SIZES, TOO_QUICK, Measured, fresh, runs_back, work
from tests.bench.product import Place
from tests.bench.servers import execute

if TYPE_CHECKING:
    from tests.bench.parts import Bench

LEAST_ROWS = 100

PLAIN = "the same table as it is"
NEEDS = {
    PLAIN: "columns: {slug: {expr: \"slug || '-' || id\"}, place: id, body: body}",
    "unique": 'columns: {slug: {from: slug, unique: {suffix: "-{n}"}}, place: id, body: body}',
    "number": 'columns: {place: {number: {within: [list], order_by: "id DESC"}}, list: list, body: body}',
    "ref by": "columns: {body: body, parent: {from: owner, ref: {by: kind, of: {A: owner, B: other}}}}",
    "ids in an array": "columns: {body: body, parents: {from: owners, ref: owner, each: true}}",
    "ids in a document": 'columns: {body: body, doc: {from: doc, refs: [{path: "$.to[*]", ref: owner}]}}',
    "list to rows": "alias: i, joins: [{unnest: i.owners, alias: o, ordinality: n}],"
    " columns: {place: o.o, body: i.body}",
}
"""What stands beside source and target in the file. Of one text there are the more rows the more rows there are."""

SOURCE = (
    "DROP TABLE IF EXISTS legacy.item, legacy.owner, legacy.other",
    "CREATE TABLE legacy.owner (id int PRIMARY KEY, name text)",
    "CREATE TABLE legacy.other (id int PRIMARY KEY, name text)",
    "INSERT INTO legacy.owner SELECT n, 'owner ' || n FROM generate_series(1, {owners}) AS n",
    "INSERT INTO legacy.other SELECT n, 'other ' || n FROM generate_series(1, {owners}) AS n",
    "CREATE TABLE legacy.item (id int PRIMARY KEY, list int, slug text, kind text, owner int, owners int[], doc jsonb,"
    " body text)",
    "INSERT INTO legacy.item SELECT n, n % 50, 'page ' || n % 50, CASE n % 2 WHEN 0 THEN 'A' ELSE 'B' END,"
    " n % {owners} + 1, ARRAY[n % {owners} + 1, n % 7 + 1], jsonb_build_object('to', jsonb_build_array(n % 7 + 1)),"
    " repeat('x', 50) FROM generate_series(1, {rows}) AS n",
    "VACUUM (ANALYZE) legacy.item, legacy.owner, legacy.other",
)
TARGET = (
    "CREATE TABLE app.owner (id bigserial PRIMARY KEY, name text)",
    "CREATE TABLE app.other (id bigserial PRIMARY KEY, name text)",
    "CREATE TABLE app.item (id bigserial PRIMARY KEY, list int, slug text UNIQUE, place int, parent bigint,"
    " parents bigint[], doc jsonb, body text)",
)


def needs(bench: Bench, round_: int) -> None:
    """For each act of each need how it grows, and what the copy costs against the plain one."""
    if round_:
        return
    bench.workers.resize(0)  # this process works itself
    for layout in ("one", "two"):
        place = bench.place(layout)
        plain: list[float] = []
        for need in NEEDS:
            for size in SIZES:
                rows = max(LEAST_ROWS, bench.rows // size)
                _fill(bench, place, rows)
                for act, seconds in _acts(bench, place, driven.mapping(_file(need))):
                    line = bench.sheet.line(f"{act}, {need}, {layout}: 4 n / n", bar=MOST_GROWTH)
                    line.fatal = True
                    (line.limit if size == SIZES[0] else line.ours).append(seconds)
                    if act == "copy" and size == SIZES[-1]:
                        plain.append(seconds)
                        against = bench.sheet.line(f"copy, {need}, {layout} / {PLAIN}")
                        against.ours.append(seconds)
                        against.limit.append(plain[0])
        execute(place.source, "DROP TABLE legacy.item, legacy.owner, legacy.other")
        empty_target(place.target)
    bench.sheet.leave_out(lambda line: bool(line.ours) and line.middle(line.ours) < TOO_QUICK)


def _acts(bench: Bench, place: Place, mapping: Mapping) -> Iterator[tuple[str, float]]:
    measured = Measured(bench)
    yield measured("plan", lambda: runs.review(mapping, place.environment))
    run = runs.start(mapping, place.environment, None)
    yield measured("copy", lambda: work(run, "verified"))
    runs.verify(fresh(run), None)
    yield measured("verify", lambda: work(run, "verified"))
    runs_back(run)
    yield measured("roll back", lambda: work(run, "rolled_back"))


def _fill(bench: Bench, place: Place, rows: int) -> None:
    execute(place.source, *(words.format(rows=rows, owners=rows // 10) for words in SOURCE))
    bench.start_over(place)
    execute(place.target, *TARGET)


def _file(need: str) -> str:
    return f"""
version: 1
name: needed
tables:
  - {{name: owner, source: legacy.owner, target: app.owner, columns: {{name: name}}}}
  - {{name: other, source: legacy.other, target: app.other, columns: {{name: name}}}}
  - {{name: item, source: legacy.item, target: app.item, {NEEDS[need]}}}
"""
