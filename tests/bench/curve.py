"""What a row costs as tables grow, for each kind of key, with gaps and skew: it should cost the same.

Beside it the same by hand, which reads the source as it lies and meets the indexes in that order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench import limits, product
from tests.bench.data import empty_target
from tests.bench.servers import execute, timed
from tests.bench.workers import MEMORY_MB

if TYPE_CHECKING:
    from tests.bench.parts import Bench

STEPS = (200, 20, 4, 1)
"""The curve's points, as divisors of ROWS: 10 thousand to 2 million by default; ROWS=20000000 for larger ones."""

COST_RATIO, CURVE_WORKERS = 1.2, 2
BY_HAND_AT_MOST = 5_000_000
"""Rows of the largest table that is copied by hand too: that takes several times as long."""

KEYS = {  # columns, their values for the nth row, their names
    "bigint key with gaps": ("id bigint", "n * 1000 + n % 7 + n / 1000 * 50000000", "id"),
    "uuid key": ("id uuid", "md5(n::text)::uuid", "id"),
    "text key": ("id text", "'k-' || md5(n::text)", "id"),
    "skewed composite key": (  # nine rows of ten in one region
        "region integer, id bigint",
        "CASE WHEN n % 10 = 0 THEN n % 97 ELSE 0 END, n",
        "region, id",
    ),
}
SOURCE_IDS = """
SELECT attname FROM pg_attribute
 WHERE attrelid = 'app.{}'::regclass AND attname LIKE 'source%' ORDER BY attnum
"""
FILE = """
version: 1
name: {name}
tables:
  - {{source: legacy.{name}, target: app.{name}, columns: {{label: {{expr: "upper(label)"}}, amount: amount}}}}
"""


def cost_per_row(bench: Bench, round_: int) -> None:
    """The copy at each size; the last point's cost per row is held against the first's."""
    bench.workers.resize(CURVE_WORKERS)
    place = bench.place("one")
    for number, (kind, (_, _, key_columns)) in enumerate(KEYS.items()):
        costs, by_hand = [], []
        for step in STEPS:
            name, rows = f"curve_{number}", max(1, bench.rows // step)
            _fill(place.source, name, kind, rows)
            bench.start_over(place)
            execute(
                place.target,
                f"CREATE TABLE app.{name} (key bigserial PRIMARY KEY, label text, amount int)",
            )
            trip = product.migrate(place, product.mapping(FILE.format(name=name)), bench.workers)
            costs.append(trip.copy / rows)
            line = bench.sheet.line(f"copy, {kind}, {rows:,} rows / INSERT … SELECT, the map's too")
            line.ours.append(trip.copy)
            if rows <= BY_HAND_AT_MOST:
                line.limit.append(_copied_by_hand(place.target, name, key_columns))
                by_hand.append(line.limit[-1] / rows)
            line = bench.sheet.line(f"worker memory, {kind}, {rows:,} rows", "MB", MEMORY_MB, middle=max)
            line.ours.append(trip.use.peak)
        line = bench.sheet.line(f"cost per row, {kind}: the largest table / the smallest", bar=COST_RATIO)
        line.ours.append(costs[-1] * bench.rows)
        line.limit.append(costs[0] * bench.rows)
        line = bench.sheet.line(f"  the same by hand, up to {BY_HAND_AT_MOST:,} rows, {kind}")
        line.ours.append(by_hand[-1] * bench.rows)
        line.limit.append(by_hand[0] * bench.rows)
        empty_target(place.target)
        execute(place.source, f"DROP TABLE legacy.curve_{number}")


def _copied_by_hand(url: str, name: str, key: str) -> float:
    """Seconds for the rows and their map rows, into the emptied tables with all that the product added to them."""
    execute(url, f"TRUNCATE app.{name}, migrator.migration_map")
    ids = [str(column) for (column,) in execute(url, SOURCE_IDS.format(name))]
    return timed(
        url,
        f"INSERT INTO app.{name} (label, amount, {', '.join(ids)}, is_migrated)"
        f" SELECT upper(label), amount, {key}, true FROM legacy.{name}",
        f"INSERT INTO migrator.migration_map ({limits.MAP_COLUMNS})"
        f" SELECT 'by-hand', '{name}', concat_ws(',', {', '.join(ids)}), key::text, 1, 'inserted' FROM app.{name}",
    )


def _fill(url: str, name: str, kind: str, rows: int) -> None:
    declared, made, names = KEYS[kind]
    execute(
        url,
        f"DROP TABLE IF EXISTS legacy.{name}",
        f"CREATE TABLE legacy.{name} ({declared}, label text, amount int, PRIMARY KEY ({names}))",
        f"INSERT INTO legacy.{name} SELECT {made}, 'label ' || n, n FROM generate_series(1::bigint, {rows}) AS n",
        f"VACUUM (ANALYZE) legacy.{name}",
    )
