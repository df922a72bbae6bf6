"""The parts of the benchmark: each measures ours and the limit side by side, once per round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mappings.models import Mapping
from tests.bench import (
    beyond_memory,
    copies,
    curve,
    families,
    growth,
    needs,
    product,
    quarantine,
    scattered,
    viewers,
)
from tests.bench.copies import MANY_WORKERS, VARIANTS, Variant
from tests.bench.data import MANY, SMALL_ROWS, WIDE_ROWS, empty_target, mapping_file
from tests.bench.product import Layout, Place
from tests.bench.servers import Servers, execute
from tests.bench.sheet import Sheet
from tests.bench.workers import MEMORY_MB, Workers

TOO_MANY_WORKERS, MANY_TABLES_SECONDS = 4, 5.0
PLANNING_RATIO, WORKERS_RATIO = 1.5, 1.0
PLANS_PER_ROUND = 3


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
        name = "with-map" if variant.keep_map else "no-map" if variant.table == "person" else variant.table
        return self.place(variant.layout), self.mapping(name, variant.keep_map, variant.table)

    def start_over(self, place: Place, *tables: str) -> None:
        """Empty target tables, nothing left to be written, and the control database tidied up."""
        empty_target(place.target, *tables)
        execute(self.servers.near.url("migrator"), "VACUUM (ANALYZE)")
        self.servers.settle()

    def rest(self, place: Place, table: str) -> None:
        """What runs before any removal: the same for ours and for the limit.

        No checkpoint: after one, each page's full image in the WAL would hide what the removal itself costs.
        """
        execute(place.target, f"VACUUM (ANALYZE) app.{table}")
        if execute(place.target, "SELECT to_regclass('migrator.migration_map')")[0][0]:
            execute(place.target, "VACUUM (ANALYZE) migrator.migration_map")

    def schema_for(self, variant: Variant) -> None:
        """The product's own schema steps (columns and unique index) on the empty target, for the limit."""
        place, mapping = self.of(variant)
        key = f"{place.layout} {variant.table}"
        if key not in self._schema:
            plan, _ = product.planned(place, mapping)
            self._schema[key] = [sql for step in plan.steps for sql in step.sql]
        execute(place.target, *self._schema[key])


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
    return lambda bench, round_: copies.copying(bench, variant, round_)


PARTS: dict[str, Part] = {name: _copying_part(variant) for name, variant in VARIANTS.items()} | {
    "plain": copies.plain_columns,
    "installed": copies.as_installed,
    "later": copies.rolling_back_later,
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
