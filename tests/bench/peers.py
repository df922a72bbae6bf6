"""Other tools on the same work, two databases, as rows per second: a table that anyone can run again."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
from django.db import connections, models
from rich.console import Console

from migrator_site.settings import database
from tests.bench import limits, product
from tests.bench.copies import MANY_WORKERS
from tests.bench.copies import VARIANTS as WAYS
from tests.bench.data import FLAG, PERSON, SOURCE_ID, projection
from tests.bench.parts import Bench
from tests.bench.servers import execute
from tests.bench.sheet import Sheet

ROWS = 200_000
BATCH = 5_000


def compare(bench: Bench, rounds: int, console: Console) -> Sheet:
    """Measures every peer that is there, interleaved; the source's `person` has to have ROWS rows."""
    sheet = Sheet()
    for _ in range(rounds):
        for what, measure in PEERS.items():
            seconds = measure(bench)
            if seconds is None:
                console.print(f"{what}: not installed here, left out")
                continue
            sheet.line(what, "rows/s").ours.append(bench.rows / seconds)
    return sheet


def _ours(bench: Bench, variant: str) -> float:
    place, mapping = bench.of(WAYS[variant])
    bench.start_over(place, "person")
    bench.workers.resize(MANY_WORKERS)
    trip = product.migrate(place, mapping, bench.workers)
    return trip.prepare + trip.copy


def _by_hand(bench: Bench) -> float:
    place, _ = bench.of(WAYS["one"])
    bench.start_over(place, "person")
    bench.schema_for(WAYS["one"])
    return limits.insert(place.target)


def _psql(bench: Bench) -> float:
    place, _ = bench.of(WAYS["two"])
    bench.start_over(place, "person")
    bench.schema_for(WAYS["two"])
    return limits.stream(place.source, place.target, limits.copy_out(), limits.copy_in())


def _bulk_create(bench: Bench) -> float:
    """Rows read with psycopg, written by Django's bulk_create, one transaction per batch."""
    place, _ = bench.of(WAYS["two"])
    bench.start_over(place, "person")
    bench.schema_for(WAYS["two"])
    connections.databases["peer"] = connections.databases["default"] | database(place.target)
    names = [*(name for name, _, _ in PERSON), SOURCE_ID, FLAG]
    began = time.perf_counter()
    with psycopg.connect(place.source) as conn, conn.cursor(name="rows") as cursor:
        # Django wants its times with a zone
        cursor.execute(projection().replace("seen_at,", "seen_at AT TIME ZONE 'UTC',").encode())
        while rows := cursor.fetchmany(BATCH):
            people = [Person(**dict(zip(names, row, strict=True))) for row in rows]
            Person._default_manager.using("peer").bulk_create(people)
    seconds = time.perf_counter() - began
    connections["peer"].close()
    return seconds


class Person(models.Model):
    """The target table, as a Django project would have it."""

    id = models.BigAutoField(primary_key=True)
    person_no = models.IntegerField()
    code = models.TextField()
    full_name = models.TextField()
    email = models.TextField()
    total = models.DecimalField(max_digits=20, decimal_places=2)
    status = models.TextField()
    due_on = models.DateField()
    enabled = models.BooleanField()
    seen_at = models.DateTimeField()
    note = models.TextField(null=True)
    source_table_id = models.IntegerField()
    is_migrated = models.BooleanField()

    class Meta:
        app_label = "bench"
        managed = False
        db_table = 'app"."person'


def _pgloader(bench: Bench) -> float | None:
    """pgloader has no transforms from PostgreSQL: it copies the source table as it stands."""
    if not (pgloader := shutil.which("pgloader")):
        return None
    place, _ = bench.of(WAYS["two"])
    bench.start_over(place)
    execute(place.target, "DROP SCHEMA IF EXISTS legacy CASCADE")
    script = bench.servers.home / "pgloader.load"
    script.touch(mode=0o600)
    script.write_text(
        f"LOAD DATABASE FROM {place.source} INTO {place.target}\n"
        " WITH include drop, create tables, create indexes, reset sequences\n"
        " INCLUDING ONLY TABLE NAMES MATCHING 'person' IN SCHEMA 'legacy';\n"
    )
    seconds = _run(pgloader, script, bench.servers.home)
    found = execute(place.target, "SELECT count(*) FROM legacy.person")[0][0]
    if found != bench.rows:  # it may end with 0 after errors
        raise RuntimeError(f"pgloader brought {found} rows of {bench.rows}")
    return seconds


def _run(pgloader: str, script: Path, home: Path) -> float:
    command = [pgloader, "--quiet", "--root-dir", str(home / "pgloader"), str(script)]
    began = time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"pgloader failed: {(done.stderr or done.stdout)[-2000:]}")
    return seconds


PEERS: dict[str, Callable[[Bench], float | None]] = {
    "ours, one database, no map (prepare and copy)": lambda bench: _ours(bench, "one"),
    "ours, one database, with map (prepare and copy)": lambda bench: _ours(bench, "one-map"),
    "ours, two databases, no map (prepare and copy)": lambda bench: _ours(bench, "two"),
    "ours, two databases, with map (prepare and copy)": lambda bench: _ours(bench, "two-map"),
    "INSERT … SELECT by hand, one database": _by_hand,
    "psql COPY | psql COPY, two databases": _psql,
    "pgloader, two databases, no transforms": _pgloader,
    "Django bulk_create, two databases": _bulk_create,
}
