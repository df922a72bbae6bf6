"""The copy of a table whose keys lie at random, larger than its servers' memory: against the same by hand, which reads
the table as it lies and builds the index on the link afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.models import Chunk
from tests.bench import cost, limits, product
from tests.bench.data import empty_target
from tests.bench.memory_limit import Limit, limited
from tests.bench.product import LAYOUTS, Place
from tests.bench.scattered import KEYS
from tests.bench.servers import execute, timed

if TYPE_CHECKING:
    from tests.bench.parts import Bench

RATIO, WORKERS, SHARE = 1.3, 2, 0.75
LEAST_MEMORY = 500 * 2**20
"""The servers' own: shared_buffers and sessions of both."""
BY_KEYS_AT_MOST = 1_000_000
"""Rows of the largest table that is copied in the order of its keys too: that takes several times as long."""
SOURCE = "CREATE TABLE legacy.beyond (id {kind} PRIMARY KEY, label text, amount int, note text, born date)"
FILL = """
INSERT INTO legacy.beyond
SELECT {key}, 'label ' || n, n, repeat(md5((n % 1000)::text), 5), date '1950-01-01' + n % 20000
  FROM generate_series(1, {rows}) AS n
"""
TARGET = "CREATE TABLE app.beyond (key bigserial PRIMARY KEY, label text, amount int, note text, born date)"
LINKS = "ALTER TABLE app.beyond ADD source_table_id {kind}, ADD is_migrated boolean NOT NULL DEFAULT false"
INDEX = "CREATE UNIQUE INDEX ON app.beyond (source_table_id)"
COLUMNS = "label, amount, note, born, source_table_id, is_migrated"
ROWS = "SELECT upper(label), amount, note, born, id, true FROM legacy.beyond"
FILE = """
version: 1
name: beyond-{walk}
tables:
  - source: legacy.beyond
    target: app.beyond
    walk: {walk}
    link: {{map: false}}
    columns: {{label: {{expr: "upper(label)"}}, amount: amount, note: note, born: born}}
"""


def copying(bench: Bench, round_: int) -> None:
    """In one database and between two, by kind of key; what memory there was stands in the line."""
    bench.workers.resize(WORKERS)
    for layout in LAYOUTS:
        place = bench.place(layout)
        for kind, key in KEYS.items():
            execute(
                place.source, "DROP TABLE IF EXISTS legacy.beyond", SOURCE.format(kind=kind),
                FILL.format(key=key, rows=bench.rows), "VACUUM (ANALYZE) legacy.beyond",
            )  # fmt: skip
            size = int(str(execute(place.source, "SELECT pg_table_size('legacy.beyond')")[0][0]))
            with limited(bench.servers.pids, max(LEAST_MEMORY, int(size * SHARE))) as memory:
                _measure(bench, place, kind, f"table of {size // 2**20:,} MB, {memory.said}", memory)
        execute(place.source, "DROP TABLE legacy.beyond")
        empty_target(place.target)


def _measure(bench: Bench, place: Place, kind: str, where: str, memory: Limit) -> None:
    what = f"copy by pages, {place.layout}, {kind} keys at random, {where}"
    limit = "INSERT … SELECT" if place.layout == "one" else "COPY | COPY"
    line = bench.sheet.line(f"{what} / {limit} and the index after it", bar=RATIO)
    used = bench.sheet.line(f"  CPU of it, {place.layout}, {kind}")
    seconds, cpu = _ours(bench, place, "pages", memory)
    line.ours.append(seconds)
    used.ours.append(cpu)
    bench.start_over(place)
    execute(place.target, TARGET, LINKS.format(kind=kind))
    memory.drop_caches()
    before = cost.of(bench.servers.pids) + cost.of_own_children()
    line.limit.append(_by_hand(place))
    used.limit.append(cost.of(bench.servers.pids) + cost.of_own_children() - before)
    if bench.rows <= BY_KEYS_AT_MOST:
        by_keys = bench.sheet.line(f"  for information: by pages / by keys, {place.layout}, {kind}")
        by_keys.ours.append(seconds)
        by_keys.limit.append(_ours(bench, place, "keys", memory)[0])


def _ours(bench: Bench, place: Place, walk: str, memory: Limit) -> tuple[float, float]:
    """Seconds of the copy, its index included, and of CPU."""
    bench.start_over(place)
    execute(place.target, TARGET)
    memory.drop_caches()
    trip = product.migrate(place, product.mapping(FILE.format(walk=walk)), bench.workers)
    by_pages = Chunk.objects.filter(table__run=trip.run, phase="copy", pages__isnull=False)
    if trip.rows != bench.rows or by_pages.exists() != (walk == "pages"):
        raise RuntimeError(f"{trip.run} copied {trip.rows} rows of {bench.rows}, or not by {walk}")
    return trip.copy, trip.copy_cpu


def _by_hand(place: Place) -> float:
    if place.layout == "one":
        return timed(place.target, f"INSERT INTO app.beyond ({COLUMNS}) {ROWS}", INDEX)
    seconds = limits.stream(
        place.source,
        place.target,
        f"COPY ({ROWS}) TO STDOUT (FORMAT binary)",
        f"COPY app.beyond ({COLUMNS}) FROM STDIN (FORMAT binary)",
    )
    return seconds + timed(place.target, INDEX)
