"""Verification of a table whose keys lie at random: against one join by hand, and against one digest of each side."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.bench import product
from tests.bench.data import empty_target
from tests.bench.product import LAYOUTS, Place
from tests.bench.servers import execute, timed

if TYPE_CHECKING:
    from tests.bench.parts import Bench

VERIFY_RATIO, WORKERS = 1.5, 2
COLUMNS = {"label": "upper(label)", "amount": "amount", "note": "note", "born": "born"}
SOURCE = """
CREATE TABLE legacy.scattered (id {kind} PRIMARY KEY, label text, amount int, note text, born date)
"""
KEYS = {"uuid": "md5(n::text)::uuid", "text": "md5(n::text)"}
FILL = """
INSERT INTO legacy.scattered
SELECT {key}, 'label ' || n, n, repeat(md5((n % 1000)::text), 5), date '1950-01-01' + n % 20000
  FROM generate_series(1, {rows}) AS n
"""
TARGET = (
    "CREATE TABLE app.scattered (key bigserial PRIMARY KEY, label text, amount int, note text, born date)"
)
FILE = f"""
version: 1
name: scattered
tables:
  - source: legacy.scattered
    target: app.scattered
    link: {{map: false}}
    columns: {{{", ".join(f'{name}: {{expr: "{sql}"}}' for name, sql in COLUMNS.items())}}}
"""
FED = f"SELECT id, {', '.join(f'{sql} AS {name}' for name, sql in COLUMNS.items())} FROM legacy.scattered"
ROWS = [f"{side}.{name}" for side in "ft" for name in COLUMNS]
JOINED = (
    f"SELECT count(*) FROM ({FED}) AS f FULL JOIN app.scattered AS t ON t.source_table_id = f.id"
    f" WHERE f.id IS NULL OR t.key IS NULL OR NOT t.is_migrated OR NOT record_eq("
    f"ROW({', '.join(ROWS[: len(COLUMNS)])}), ROW({', '.join(ROWS[len(COLUMNS) :])}))"
)
DIGEST = (
    "SELECT hash_record_extended(ROW(d.id), 1) & 1023, count(*), sum(hash_record_extended(ROW(d.image), 2))"
    " FROM (SELECT r.id, record_send(r.*) AS image FROM ({}) AS r OFFSET 0) AS d GROUP BY 1"
)


def verification(bench: Bench, round_: int) -> None:
    """In one database and between two, by kind of key; which way was used stands in the line."""
    bench.workers.resize(WORKERS)
    for layout in LAYOUTS:
        place = bench.place(layout)
        for kind, key in KEYS.items():
            _fill(place, kind, key, bench.rows)
            bench.start_over(place)
            execute(place.target, TARGET)
            trip = product.migrate(place, product.mapping(FILE), bench.workers)
            (table,) = trip.run.tables.all()
            way = f"{table.passes} pass" if table.passes else "by ranges of keys"
            limit = "one full join" if layout == "one" else "a digest of each side at once"
            line = bench.sheet.line(
                f"verification, {layout}, {kind} keys at random, {way} / {limit}", bar=VERIFY_RATIO
            )
            line.ours.append(trip.verify)
            line.limit.append(_by_hand(place))
            bench.sheet.line(f"  CPU of it, {layout}, {kind}").ours.append(trip.verify_cpu)
        execute(place.source, "DROP TABLE legacy.scattered")
        empty_target(place.target)


def _fill(place: Place, kind: str, key: str, rows: int) -> None:
    execute(
        place.source, "DROP TABLE IF EXISTS legacy.scattered", SOURCE.format(kind=kind),
        FILL.format(key=key, rows=rows), "VACUUM (ANALYZE) legacy.scattered",
    )  # fmt: skip


def _by_hand(place: Place) -> float:
    if place.layout == "one":
        return timed(place.target, JOINED)
    with ThreadPoolExecutor(max_workers=2) as pool:
        source = pool.submit(timed, place.source, DIGEST.format(FED))
        names = ", ".join(("source_table_id AS id", *COLUMNS))
        target = pool.submit(timed, place.target, DIGEST.format(f"SELECT {names} FROM app.scattered"))
        return max(source.result(), target.result())
