"""Tables that refer to each other, many of them, and a start that finds all rows there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench import product
from tests.bench.product import LAYOUTS, Place
from tests.bench.servers import execute

if TYPE_CHECKING:
    from tests.bench.parts import Bench

GENERATIONS, FAMILY_SHARE = 5, 27
"""ROWS of 2 million make 5 tables of 75,000 rows each."""

UNINDEXED_RATIO, AGAIN_RATIO, WORKERS = 2.0, 0.5, 2
CROWD, CROWD_ROWS, CROWD_SECONDS = 500, 1_000, 30.0


def unindexed_rollback(bench: Bench, round_: int) -> None:
    """Five generations whose referring columns have no index: the rollback against the copy."""
    bench.workers.resize(WORKERS)
    rows = max(1, bench.rows // FAMILY_SHARE)
    for layout in LAYOUTS if round_ % 2 == 0 else reversed(LAYOUTS):
        place = bench.place(layout)
        bench.start_over(place)
        _generations(place, rows)
        trip = product.migrate(place, product.mapping(_of_generations()), bench.workers)
        back = product.roll_back(trip.run, bench.workers)
        title = f"rollback of {GENERATIONS} tables of {rows:,} rows, no index on the referring column"
        line = bench.sheet.line(f"{title}, {_words(layout)} / the copy", bar=UNINDEXED_RATIO)
        line.ours.append(back.whole)
        line.limit.append(trip.copy)


def _generations(place: Place, rows: int) -> None:
    shuffled = f"1 + (n::bigint * 7919) % {rows}"
    for number in range(1, GENERATIONS + 1):
        above = f"REFERENCES app.family_{number - 1}" if number > 1 else ""
        execute(
            place.source,
            f"DROP TABLE IF EXISTS legacy.family_{number}",
            f"CREATE TABLE legacy.family_{number} (id int PRIMARY KEY, above int, label text)",
            f"INSERT INTO legacy.family_{number} SELECT n, {shuffled}, 'label ' || n FROM generate_series(1, {rows}) n",
            f"VACUUM (ANALYZE) legacy.family_{number}",
        )
        execute(
            place.target,
            f"CREATE TABLE app.family_{number} (id bigserial PRIMARY KEY, above bigint {above}, label text)",
        )


def _of_generations() -> str:
    lines = ["version: 1", "name: family", "tables:"]
    for number in range(1, GENERATIONS + 1):
        name = f"family_{number}"
        ref = f", above: {{from: above, ref: family_{number - 1}}}" if number > 1 else ""
        lines.append(f"  - {{source: legacy.{name}, target: app.{name}, columns: {{label: label{ref}}}}}")
    return "\n".join(lines) + "\n"


def starting_again(bench: Bench, round_: int) -> None:
    """The copy of a second run that finds every row there, against the first one's."""
    from tests.bench.copies import VARIANTS

    bench.workers.resize(WORKERS)
    for variant in VARIANTS.values():
        place, mapping = bench.of(variant)
        bench.start_over(place, "person")
        first = product.migrate(place, mapping, bench.workers)
        bench.rest(place, variant.table)
        bar = AGAIN_RATIO if variant.layout == "two" else None
        line = bench.sheet.line(f"starting again with nothing new, {variant.title} / the first copy", bar=bar)
        line.ours.append(product.again(place, mapping, bench.workers))
        line.limit.append(first.copy)


def crowd(bench: Bench, round_: int) -> None:
    """Five hundred small tables, from click to verified."""
    bench.workers.resize(WORKERS)
    names = [f"crowd_{number:03}" for number in range(1, CROWD + 1)]
    for layout in LAYOUTS if round_ % 2 == 0 else reversed(LAYOUTS):
        place = bench.place(layout)
        bench.start_over(place)
        _small(place, names)
        trip = product.migrate(place, product.mapping(_plain("crowd", names)), bench.workers)
        title = f"{CROWD} tables of {CROWD_ROWS:,} rows, click to verified, {_words(layout)}"
        bench.sheet.line(title, bar=CROWD_SECONDS).ours.append(trip.whole)
        bench.sheet.line(f"  preparing of these, {_words(layout)}").ours.append(trip.prepare)


def _small(place: Place, names: list[str]) -> None:
    columns = "id int PRIMARY KEY, label text, amount numeric, day date"
    fill = f"SELECT n, 'label ' || n, n / 7.0, date '2020-01-01' + n % 900 FROM generate_series(1, {CROWD_ROWS}) n"
    for name in names:
        execute(
            place.source,
            f"DROP TABLE IF EXISTS legacy.{name}",
            f"CREATE TABLE legacy.{name} ({columns})",
            f"INSERT INTO legacy.{name} {fill}",
        )
        execute(
            place.target,
            f"CREATE TABLE app.{name} (key bigserial PRIMARY KEY, label text, amount numeric, day date)",
        )
    execute(place.source, "ANALYZE")


def _plain(name: str, tables: list[str]) -> str:
    columns = "{label: label, amount: amount, day: day}"
    lines = [f"  - {{source: legacy.{one}, target: app.{one}, columns: {columns}}}" for one in tables]
    return "\n".join(["version: 1", f"name: {name}", "tables:", *lines]) + "\n"


def _words(layout: str) -> str:
    return f"{layout} database{'s' * (layout == 'two')}"
