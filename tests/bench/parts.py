"""The parts of the benchmark: each measures ours and the limit side by side, once per round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mappings.models import Mapping
from tests.bench import (
    beyond_memory,
    cost,
    curve,
    families,
    growth,
    limits,
    needs,
    product,
    quarantine,
    scattered,
    viewers,
)
from tests.bench.data import MANY, SMALL_ROWS, WIDE_ROWS, empty_target, mapping_file
from tests.bench.product import Layout, Place
from tests.bench.servers import Servers, execute
from tests.bench.sheet import Sheet
from tests.bench.workers import MEMORY_MB, Workers

MANY_WORKERS, TOO_MANY_WORKERS, FIRST_ROW_SECONDS, MANY_TABLES_SECONDS = 2, 4, 1.0, 5.0
ROLLBACK_RATIO, PLANNING_RATIO, WORKERS_RATIO = 1.2, 1.5, 1.0
VERIFY_ROWS: dict[Layout, float] = {"one": 700_000, "two": 500_000}
PLANS_PER_ROUND = 3


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to copy the large table. bar: for the copy by two workers, against `limit`."""

    layout: Layout
    keep_map: bool
    bar: float
    limit: str

    @property
    def title(self) -> str:
        """As the table names it."""
        return (
            f"{self.layout} database{'s' * (self.layout == 'two')}, {'with' if self.keep_map else 'no'} map"
        )


VARIANTS = {
    "one": Variant("one", False, 0.85, "INSERT … SELECT"),
    "one-map": Variant("one", True, 0.7, "INSERT … SELECT, the map's too"),
    "two": Variant("two", False, 0.95, "psql COPY | psql COPY"),
    "two-map": Variant("two", True, 0.7, "psql COPY | psql COPY, and the map's INSERT … SELECT"),
}


@dataclass
class Bench:
    """What a part measures with."""

    servers: Servers
    workers: Workers
    sheet: Sheet
    rows: int
    places: dict[Layout, Place] = field(default_factory=dict)
    _mappings: dict[str, Mapping] = field(default_factory=dict)
    _schema: dict[str, list[str]] = field(default_factory=dict)

    def place(self, layout: Layout) -> Place:
        """Source and target of a layout."""
        if layout not in self.places:
            self.places[layout] = product.place(self.servers, layout)
        return self.places[layout]

    def mapping(self, name: str, keep_map: bool, *tables: str, measured: bool = False) -> Mapping:
        """The mapping of that name over those tables."""
        if name not in self._mappings:
            self._mappings[name] = product.mapping(mapping_file(name, keep_map, *tables, measured=measured))
        return self._mappings[name]

    def of(self, variant: Variant) -> tuple[Place, Mapping]:
        """Where a variant copies, and its mapping."""
        name = "with-map" if variant.keep_map else "no-map"
        return self.place(variant.layout), self.mapping(name, variant.keep_map, "person")

    def start_over(self, place: Place, *tables: str) -> None:
        """Empty target tables, nothing left to be written, and the control database tidied up."""
        empty_target(place.target, *tables)
        execute(self.servers.near.url("migrator"), "VACUUM (ANALYZE)")
        self.servers.settle()

    def rest(self, place: Place) -> None:
        """What runs before any removal: the same for ours and for the limit.

        No checkpoint: after one, each page's full image in the WAL would hide what the removal itself costs.
        """
        execute(place.target, "VACUUM (ANALYZE) app.person")
        if execute(place.target, "SELECT to_regclass('migrator.migration_map')")[0][0]:
            execute(place.target, "VACUUM (ANALYZE) migrator.migration_map")

    def schema_for(self, variant: Variant) -> None:
        """The product's own schema steps (columns and unique index) on the empty target, for the limit."""
        place, mapping = self.of(variant)
        if place.layout not in self._schema:
            plan, _ = product.planned(place, mapping)
            self._schema[place.layout] = [sql for step in plan.steps for sql in step.sql]
        execute(place.target, *self._schema[place.layout])


def warm_up(bench: Bench, layout: Layout) -> None:
    """One copy by hand that is not measured: whoever comes first would pay for new WAL files and cold caches."""
    variant = next(variant for variant in VARIANTS.values() if variant.layout == layout)
    bench.start_over(bench.place(layout), "person")
    bench.schema_for(variant)
    _copy_by_hand(bench.place(layout))


def copying(bench: Bench, variant: Variant, round_: int) -> None:
    """Copy, verification and rollback of the large table: two workers, the limit, one worker; then back again."""
    acts: list[Callable[[], None]] = [
        lambda: _ours(bench, variant, MANY_WORKERS),
        lambda: _limit(bench, variant),
        lambda: _ours(bench, variant, 1),
    ]
    for act in acts if round_ % 2 == 0 else reversed(acts):
        act()


def _ours(bench: Bench, variant: Variant, count: int) -> None:
    place, mapping = bench.of(variant)
    bench.start_over(place, "person")
    bench.workers.resize(count)
    trip = product.migrate(place, mapping, bench.workers)
    if trip.rows != bench.rows:
        raise RuntimeError(f"{trip.run} copied {trip.rows} rows of {bench.rows}")
    bench.rest(place)
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
    seconds = _copy_by_hand(place)
    used = _used(bench) - before
    if variant.keep_map:
        before = _used(bench)
        seconds += limits.insert_map(place.target)
        used += _used(bench) - before
    bench.rest(place)
    removed = limits.delete(place.target, variant.keep_map)
    for count in (MANY_WORKERS, 1):
        bar = variant.bar if count == MANY_WORKERS else None
        bench.sheet.line(_copy_line(variant, count), bar=bar).limit.append(seconds)
        bench.sheet.line(_cpu_line(variant, count)).limit.append(used)
        bar = ROLLBACK_RATIO if count == MANY_WORKERS else None
        bench.sheet.line(_rollback_line(variant, count), bar=bar).limit.append(removed)


def _empty_for_hand(bench: Bench, variant: Variant) -> None:
    """The empty target with all that the product adds to it."""
    place, _ = bench.of(variant)
    bench.start_over(place, "person")
    bench.schema_for(variant)
    if variant.keep_map:
        limits.empty_map(place.target)


def _used(bench: Bench) -> float:
    return cost.of(bench.servers.pids) + cost.of_own_children()


def _copy_by_hand(place: Place) -> float:
    if place.layout == "one":
        return limits.insert(place.target)
    return limits.stream(place.source, place.target)


def _map_key_afterwards(bench: Bench, variant: Variant) -> None:
    place, _ = bench.of(variant)
    _empty_for_hand(bench, variant)
    bench.servers.settle()
    seconds = limits.insert(place.target) + limits.insert_map_key_afterwards(place.target)
    line = bench.sheet.line("for information: the limit with the map's primary key built afterwards")
    line.limit.append(seconds)


def many_tables(bench: Bench, round_: int) -> None:
    """Twenty small tables, from click to verified."""
    bench.workers.resize(MANY_WORKERS)
    for layout in ("one", "two") if round_ % 2 == 0 else ("two", "one"):
        place = bench.place(layout)
        bench.start_over(place, *MANY)
        trip = product.migrate(place, bench.mapping("many", True, *MANY), bench.workers)
        title = f"20 tables of 1,000 rows, click to verified, {layout} database{'s' * (layout == 'two')}"
        bench.sheet.line(title, bar=MANY_TABLES_SECONDS).ours.append(trip.whole)


def more_workers(bench: Bench, round_: int) -> None:
    """Twice as many workers as the machine has cores, against as many: from click to verified."""
    counts = (TOO_MANY_WORKERS, MANY_WORKERS) if round_ % 2 == 0 else (MANY_WORKERS, TOO_MANY_WORKERS)
    for variant in (VARIANTS["one"], VARIANTS["two"]):
        place, mapping = bench.of(variant)
        title = f"click to verified, {variant.title}, {TOO_MANY_WORKERS} workers / {MANY_WORKERS} workers"
        line = bench.sheet.line(title, bar=WORKERS_RATIO)
        for count in counts:
            bench.start_over(place, "person")
            bench.workers.resize(count)
            seconds = product.migrate(place, mapping, bench.workers).whole
            (line.ours if count == TOO_MANY_WORKERS else line.limit).append(seconds)


def rolling_back_later(bench: Bench, round_: int) -> None:
    """The rollback after a checkpoint, as it mostly comes in life: what it touches first goes into the log whole."""
    bench.workers.resize(MANY_WORKERS)
    for variant in VARIANTS.values():
        place, mapping = bench.of(variant)
        line = bench.sheet.line(f"rollback after a checkpoint, {variant.title} / DELETE")
        bench.start_over(place, "person")
        trip = product.migrate(place, mapping, bench.workers)
        bench.rest(place)
        execute(place.target, "CHECKPOINT")
        line.ours.append(product.roll_back(trip.run, bench.workers).whole)
        _fill_by_hand(bench, variant)
        execute(place.target, "CHECKPOINT")
        line.limit.append(limits.delete(place.target, variant.keep_map))


def _fill_by_hand(bench: Bench, variant: Variant) -> None:
    place, _ = bench.of(variant)
    _empty_for_hand(bench, variant)
    _copy_by_hand(place)
    if variant.keep_map:
        limits.insert_map(place.target)
    bench.rest(place)


def planning(bench: Bench, round_: int) -> None:
    """The review page's plan of the large table against that of a small one."""
    small, large = bench.mapping("small", True, "small"), bench.mapping("with-map", True, "person")
    measured = bench.mapping("measured", True, "person", measured=True)
    for layout in ("one", "two") if round_ % 2 == 0 else ("two", "one"):
        place = bench.place(layout)
        bench.start_over(place, "person", "small")
        title = f"planning, {layout} database{'s' * (layout == 'two')} / with {SMALL_ROWS:,} rows"
        line = bench.sheet.line(title, bar=PLANNING_RATIO)
        for _ in range(PLANS_PER_ROUND):
            line.ours.append(product.planned(place, large)[1])
            line.limit.append(product.planned(place, small)[1])
        title = (
            f"  for information: where values have to be measured, {layout} database{'s' * (layout == 'two')}"
        )
        bench.sheet.line(title).ours.append(product.planned(place, measured)[1])


def memory(bench: Bench, round_: int) -> None:
    """Few rows and wide rows; the large table's memory is measured with its copy."""
    bench.workers.resize(MANY_WORKERS)
    for name, title in (("small", f"{SMALL_ROWS:,} rows"), ("wide", f"{WIDE_ROWS} rows of 1 MB")):
        for layout in ("one", "two") if round_ % 2 == 0 else ("two", "one"):
            place = bench.place(layout)
            bench.start_over(place, name)
            trip = product.migrate(place, bench.mapping(name, True, name), bench.workers)
            what = f"worker memory, {title}, {layout} database{'s' * (layout == 'two')}, with map"
            bench.sheet.line(what, "MB", MEMORY_MB, middle=max).ours.append(trip.use.peak)


Part = Callable[[Bench, int], None]


def _copying_part(variant: Variant) -> Part:
    return lambda bench, round_: copying(bench, variant, round_)


PARTS: dict[str, Part] = {name: _copying_part(variant) for name, variant in VARIANTS.items()} | {
    "later": rolling_back_later,
    "workers": more_workers,
    "tables": many_tables,
    "planning": planning,
    "memory": memory,
    "curve": curve.cost_per_row,
    "quarantine": quarantine.bad_rows,
    "unindexed": families.unindexed_rollback,
    "again": families.starting_again,
    "crowd": families.crowd,
    "scattered": scattered.verification,
    "beyond": beyond_memory.copying,
    "growth": growth.growth,
    "needs": needs.needs,
    "viewers": viewers.viewers,
}
