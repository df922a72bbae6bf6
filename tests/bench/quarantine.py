"""What bad rows cost, and what a second start costs: by size, so that what is quadratic shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

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


class Kind(NamedTuple):
    """What refuses rows. bad: what they have instead of their number; column: the target's, next to `tables` and
    `triggers`, which are made before and after it."""

    bad: str
    column: str = "integer"
    tables: str = "SELECT"
    triggers: str = "SELECT"


KINDS = {
    "a text that is no number": Kind("'many'"),
    "a check": Kind("'-' || n", "integer CHECK (amount > 0)"),
    "a unique constraint": Kind("(n - 1)::text", "integer UNIQUE"),
    "a foreign key": Kind(
        "'-' || n",
        "integer REFERENCES app.known",
        "CREATE TABLE app.known AS SELECT n AS n FROM generate_series(1, {rows}) AS n;"
        " ALTER TABLE app.known ADD PRIMARY KEY (n)",
    ),
    "a trigger": Kind(
        "'-' || n",
        tables="CREATE FUNCTION app.refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN IF NEW.amount < 0 THEN RAISE 'below nothing' USING ERRCODE = '23514'; END IF; RETURN NEW; END$$",
        triggers="CREATE TRIGGER refuse BEFORE INSERT ON app.stained FOR EACH ROW EXECUTE FUNCTION app.refuse()",
    ),
    "a trigger after the row": Kind(
        "'-' || n",
        tables="CREATE FUNCTION app.refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN IF NEW.amount < 0 THEN RAISE 'below nothing' USING ERRCODE = '23514'; END IF; RETURN NULL; END$$",
        triggers="CREATE TRIGGER refuse AFTER INSERT ON app.stained FOR EACH ROW EXECUTE FUNCTION app.refuse()",
    ),
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
    for name, kind in KINDS.items():
        clean, bad = (_copied(bench, place, kind, amount, rows) for amount in ("n::text", _stained(kind)))
        title = f"copy, {place.layout}, {rows:,} rows, each hundredth bad: {name} / none bad"
        line = bench.sheet.line(title, bar=BAD_RATIO)
        line.ours.append(bad)
        line.limit.append(clean)


def _stained(kind: Kind) -> str:
    return f"CASE WHEN n % {ONE_IN} = 7 THEN {kind.bad} ELSE n::text END"


def _copied(bench: Bench, place: Place, kind: Kind, amount: str, rows: int) -> float:
    _given(bench, place, "lpad(n::text, 9, '0')", amount, kind, rows)
    mapping = product.mapping(FILE.format(name="stained", most=rows, existing=""))
    return product.migrate(place, mapping, bench.workers).copy


def _again(bench: Bench, place: Place, rows: int) -> None:
    """Text keys in no order, rows that are matched, and three bad ones."""
    amount = f"CASE WHEN n IN (5, {rows // 2}, {rows - 1}) THEN 'many' ELSE n::text END"
    _given(bench, place, "md5(n::text)", amount, Kind(""), rows)
    mapping = product.mapping(FILE.format(name="stained-again", most=1000, existing=EXISTING))
    first = product.migrate(place, mapping, bench.workers)
    second = product.again(place, mapping, bench.workers)
    title = f"second start, {place.layout}, {rows:,} rows by a text key, three bad / the first start"
    line = bench.sheet.line(title, bar=AGAIN_RATIO)
    line.ours.append(second)
    line.limit.append(first.copy)
    empty_target(place.target)


def _given(bench: Bench, place: Place, key: str, amount: str, kind: Kind, rows: int) -> None:
    execute(place.source, "DROP TABLE IF EXISTS legacy.stained", SOURCE)
    execute(place.source, FILL.format(key=key, amount=amount, rows=rows), "VACUUM (ANALYZE) legacy.stained")
    bench.start_over(place)
    columns = f"id bigserial PRIMARY KEY, code text UNIQUE, label text, amount {kind.column}"
    table = f"CREATE TABLE app.stained ({columns})"
    execute(place.target, kind.tables.format(rows=rows), table, kind.triggers)
