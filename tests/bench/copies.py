"""Copy, verification and rollback of a large table by the ways that there are, each beside the same by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.bench import cost, limits, product
from tests.bench.product import Layout, Place
from tests.bench.servers import execute
from tests.bench.workers import MEMORY_MB

if TYPE_CHECKING:
    from tests.bench.parts import Bench

MANY_WORKERS, FIRST_ROW_SECONDS, ROLLBACK_RATIO = 2, 1.0, 1.2
VERIFY_ROWS: dict[Layout, float] = {"one": 700_000, "two": 500_000}
AS_INSTALLED = {"shared_buffers": "128MB", "wal_buffers": "-1"}
"""What PostgreSQL has by itself, of what `make up` sets for speed."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to copy a large table. bar: for the copy by two workers, against `limit`; note: what else is told."""

    layout: Layout
    keep_map: bool
    bar: float
    limit: str
    table: str = "person"
    note: str = ""

    @property
    def title(self) -> str:
        """As the table names it."""
        databases = f"{self.layout} database{'s' * (self.layout == 'two')}"
        return f"{databases}, {'with' if self.keep_map else 'no'} map{self.note}"


VARIANTS = {
    "one": Variant("one", False, 0.85, "INSERT … SELECT"),
    "one-map": Variant("one", True, 0.7, "INSERT … SELECT, the map's too"),
    "two": Variant("two", False, 0.95, "psql COPY | psql COPY"),
    "two-map": Variant("two", True, 0.7, "psql COPY | psql COPY, and the map's INSERT … SELECT"),
}
PLAIN = Variant("one", False, 0.85, "INSERT … SELECT", "plain", ", ten plain columns")


def warm_up(bench: Bench, layout: Layout) -> None:
    """One copy by hand that is not measured: whoever comes first would pay for new WAL files and cold caches."""
    variant = next(variant for variant in VARIANTS.values() if variant.layout == layout)
    bench.start_over(bench.place(layout), variant.table)
    bench.schema_for(variant)
    _copy_by_hand(bench.place(layout), variant)


def copying(bench: Bench, variant: Variant, round_: int) -> None:
    """Copy, verification and rollback of the large table: two workers, the limit, one worker; then back again."""
    acts: list[Callable[[], None]] = [
        lambda: _ours(bench, variant, MANY_WORKERS),
        lambda: _limit(bench, variant),
        lambda: _ours(bench, variant, 1),
    ]
    for act in acts if round_ % 2 == 0 else reversed(acts):
        act()


def plain_columns(bench: Bench, round_: int) -> None:
    """The same on a table of ten plain columns, by two workers."""
    _both(bench, PLAIN, round_)


def as_installed(bench: Bench, round_: int) -> None:
    """The same by two workers where nobody sets what the embedded servers have."""
    bench.workers.resize(0)
    bench.servers.restart(AS_INSTALLED)
    try:
        for variant in (*VARIANTS.values(), PLAIN):
            _both(bench, replace(variant, note=f"{variant.note}, as installed"), round_)
    finally:
        bench.workers.resize(0)
        bench.servers.restart({})


def _both(bench: Bench, variant: Variant, round_: int) -> None:
    acts: list[Callable[[], None]] = [
        lambda: _ours(bench, variant, MANY_WORKERS),
        lambda: _limit(bench, variant),
    ]
    for act in acts if round_ % 2 == 0 else reversed(acts):
        act()


def _ours(bench: Bench, variant: Variant, count: int) -> None:
    place, mapping = bench.of(variant)
    bench.start_over(place, variant.table)
    bench.workers.resize(count)
    trip = product.migrate(place, mapping, bench.workers)
    if trip.rows != bench.rows:
        raise RuntimeError(f"{trip.run} copied {trip.rows} rows of {bench.rows}")
    bench.rest(place, variant.table)
    back = product.roll_back(trip.run, bench.workers)
    title = f"{variant.title}, {count} worker{'s' * (count > 1)}"
    main, sheet = count == MANY_WORKERS, bench.sheet
    sheet.line(_copy_line(variant, count), bar=variant.bar if main else None).ours.append(trip.copy)
    verify = sheet.line(
        f"exact verification, {title}", "rows/s", VERIFY_ROWS[variant.layout] if main else None, True
    )
    verify.ours.append(bench.rows / trip.verify)
    sheet.line(_cpu_line(variant, count)).ours.append(trip.copy_cpu)
    sheet.line(f"  CPU of verification, {title}").ours.append(trip.verify_cpu)
    line = sheet.line(_rollback_line(variant, count), bar=ROLLBACK_RATIO if main else None)
    line.ours.append(back.whole)
    if main:
        sheet.line(f"  of that the workers' part, {variant.title}").ours.append(back.stage)
        sheet.line(f"preparing, {variant.title}").ours.append(trip.prepare)
        sheet.line(f"click to first copied row, {variant.title}", bar=FIRST_ROW_SECONDS).ours.append(
            trip.first_row
        )
        sheet.line(f"click to verified, {variant.title}").ours.append(trip.whole)
    sheet.line(f"worker memory, {title}", "MB", MEMORY_MB, middle=max).ours.append(trip.use.peak)


def _copy_line(variant: Variant, count: int) -> str:
    return f"copy, {variant.title}, {count} worker{'s' * (count > 1)} / {variant.limit}"


def _cpu_line(variant: Variant, count: int) -> str:
    return f"  CPU of {_copy_line(variant, count)}"


def _rollback_line(variant: Variant, count: int) -> str:
    limit = "DELETE, the map's too" if variant.keep_map else "DELETE"
    return f"rollback, {variant.title}, {count} worker{'s' * (count > 1)} / {limit}"


def _limit(bench: Bench, variant: Variant) -> None:
    place, _ = bench.of(variant)
    if variant.keep_map and variant.layout == "one":
        _map_key_afterwards(bench, variant)
    _empty_for_hand(bench, variant)
    bench.servers.settle()
    before = _used(bench)
    seconds = _copy_by_hand(place, variant)
    used = _used(bench) - before
    if variant.keep_map:
        before = _used(bench)
        seconds += limits.insert_map(place.target, variant.table)
        used += _used(bench) - before
    bench.rest(place, variant.table)
    removed = limits.delete(place.target, variant.table, variant.keep_map)
    for count in (MANY_WORKERS, 1) if not variant.note else (MANY_WORKERS,):
        bar = variant.bar if count == MANY_WORKERS else None
        bench.sheet.line(_copy_line(variant, count), bar=bar).limit.append(seconds)
        bench.sheet.line(_cpu_line(variant, count)).limit.append(used)
        bar = ROLLBACK_RATIO if count == MANY_WORKERS else None
        bench.sheet.line(_rollback_line(variant, count), bar=bar).limit.append(removed)


def _empty_for_hand(bench: Bench, variant: Variant) -> None:
    """The empty target with all that the product adds to it."""
    place, _ = bench.of(variant)
    bench.start_over(place, variant.table)
    bench.schema_for(variant)
    if variant.keep_map:
        limits.empty_map(place.target)


def _used(bench: Bench) -> float:
    return cost.of(bench.servers.pids) + cost.of_own_children()


def _copy_by_hand(place: Place, variant: Variant) -> float:
    if place.layout == "one":
        return limits.insert(place.target, variant.table)
    out, into = limits.copy_out(variant.table), limits.copy_in(variant.table)
    return limits.stream(place.source, place.target, out, into)


def _map_key_afterwards(bench: Bench, variant: Variant) -> None:
    place, _ = bench.of(variant)
    _empty_for_hand(bench, variant)
    bench.servers.settle()
    seconds = limits.insert(place.target, variant.table)
    seconds += limits.insert_map_key_afterwards(place.target, variant.table)
    line = bench.sheet.line("for information: the limit with the map's primary key built afterwards")
    line.limit.append(seconds)


def rolling_back_later(bench: Bench, round_: int) -> None:
    """The rollback after a checkpoint, as it mostly comes in life: what it touches first goes into the log whole."""
    bench.workers.resize(MANY_WORKERS)
    for variant in VARIANTS.values():
        place, mapping = bench.of(variant)
        line = bench.sheet.line(f"rollback after a checkpoint, {variant.title} / DELETE")
        bench.start_over(place, variant.table)
        trip = product.migrate(place, mapping, bench.workers)
        bench.rest(place, variant.table)
        execute(place.target, "CHECKPOINT")
        line.ours.append(product.roll_back(trip.run, bench.workers).whole)
        _fill_by_hand(bench, variant)
        execute(place.target, "CHECKPOINT")
        line.limit.append(limits.delete(place.target, variant.table, variant.keep_map))


def _fill_by_hand(bench: Bench, variant: Variant) -> None:
    place, _ = bench.of(variant)
    _empty_for_hand(bench, variant)
    _copy_by_hand(place, variant)
    if variant.keep_map:
        limits.insert_map(place.target, variant.table)
    bench.rest(place, variant.table)
