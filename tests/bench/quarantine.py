"""What bad rows cost, and what a second start costs: by size, so that what is quadratic shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench import product
from tests.bench.data import empty_target
from tests.bench.product import LAYOUTS, Place
from tests.bench.servers import execute

if TYPE_CHECKING:
    from tests.bench.parts import Bench

SIZES = (8, 2)
"""As divisors of ROWS: 250 thousand and a million rows by default."""

ONE_IN = 100
BAD_RATIO, AGAIN_RATIO, WORKERS = 2.0, 1.0, 2
BAD = {  # what every hundredth row has, and the target's column for it
    "no bad row": ("n::text", "integer"),
    "a text that is no number": (f"CASE WHEN n % {ONE_IN} = 7 THEN 'many' ELSE n::text END", "integer"),
    "a check": ("n::text", f"integer CHECK (amount % {ONE_IN} <> 7)"),
}
SOURCE = "CREATE TABLE legacy.stained (id text PRIMARY KEY, label text, amount text)"
FILL = "INSERT INTO legacy.stained SELECT {key}, 'label ' || n, {amount} FROM generate_series(1, {rows}) AS n"
FILE = """
version: 1
name: {name}
on_error: quarantine
max_quarantined: {most}
tables:
  - {{source: legacy.stained, target: app.stained, {existing}
      columns: {{code: id, label: {{expr: "upper(label)"}}, amount: amount}}}}
"""
EXISTING = "existing: {match: [code], then: update},"


def bad_rows(bench: Bench, round_: int) -> None:
    """The copy with one bad row of a hundred, against the same copy without; then a second start, against the first."""
    bench.workers.resize(WORKERS)
    for layout in LAYOUTS:
        place = bench.place(layout)
        for divisor in SIZES:
            rows = max(1, bench.rows // divisor)
            _many(bench, place, rows)
            _again(bench, place, rows)
        execute(place.source, "DROP TABLE legacy.stained")


def _many(bench: Bench, place: Place, rows: int) -> None:
    clean = 0.0
    for kind, (amount, column) in BAD.items():
        _given(bench, place, "lpad(n::text, 9, '0')", amount, column, rows)
        mapping = product.mapping(FILE.format(name="stained", most=rows, existing=""))
        trip = product.migrate(place, mapping, bench.workers)
        clean = clean or trip.copy
        if kind != "no bad row":
            title = f"copy, {place.layout}, {rows:,} rows, each hundredth bad: {kind} / none bad"
            line = bench.sheet.line(title, bar=BAD_RATIO)
            line.ours.append(trip.copy)
            line.limit.append(clean)


def _again(bench: Bench, place: Place, rows: int) -> None:
    """Text keys in no order, rows that are matched, and three bad ones."""
    amount = f"CASE WHEN n IN (5, {rows // 2}, {rows - 1}) THEN 'many' ELSE n::text END"
    _given(bench, place, "md5(n::text)", amount, "integer", rows)
    mapping = product.mapping(FILE.format(name="stained-again", most=1000, existing=EXISTING))
    first = product.migrate(place, mapping, bench.workers)
    second = product.again(place, mapping, bench.workers)
    title = f"second start, {place.layout}, {rows:,} rows by a text key, three bad / the first start"
    line = bench.sheet.line(title, bar=AGAIN_RATIO)
    line.ours.append(second)
    line.limit.append(first.copy)
    empty_target(place.target)


def _given(bench: Bench, place: Place, key: str, amount: str, column: str, rows: int) -> None:
    execute(place.source, "DROP TABLE IF EXISTS legacy.stained", SOURCE)
    execute(place.source, FILL.format(key=key, amount=amount, rows=rows), "VACUUM (ANALYZE) legacy.stained")
    bench.start_over(place)
    table = f"id bigserial PRIMARY KEY, code text UNIQUE, label text, amount {column}"
    execute(place.target, f"CREATE TABLE app.stained ({table})")
