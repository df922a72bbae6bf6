"""Where the time of one run goes: both servers log every statement, and their durations are added up."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.db import connection
from rich.console import Console
from rich.table import Table

from jobs.models import Run
from migrator_site.embedded import Postgres
from tests.bench import product
from tests.bench.copies import MANY_WORKERS, Variant
from tests.bench.parts import Bench
from tests.bench.servers import execute

ENTRY = re.compile(
    r"(?P<at>\S+ \S+) UTC \[(?P<pid>\d+)\] (?:\S*@(?P<database>\S+) )?(?P<level>[A-Z]+):  (?P<text>.*)"
)
DURATION = re.compile(
    r"duration: ([\d.]+) ms(?:  (?:statement|parse|bind|execute)(?: [^:]*)?: (.*))?", re.DOTALL
)
LITERAL = re.compile(r"'(?:[^']|'')*'|\$\d+|\b\d+\b")
STAGES = {
    "queued": "waiting for a worker",
    "preparing": "prepare",
    "copying": "copy",
    "verifying": "verify",
    "verified": "review of the rollback",
    "rolling_back": "roll back",
}
SHOWN, WIDTH = 14, 90


@dataclass(frozen=True, slots=True)
class Statement:
    """One logged piece of work: when it ended, by whom, how long it took."""

    at: datetime
    pid: int
    where: str
    seconds: float
    text: str


@dataclass
class Sum:
    """What one kind of statement took together."""

    calls: int = 0
    seconds: float = 0.0
    longest: float = 0.0

    def add(self, seconds: float) -> None:
        self.calls += 1
        self.seconds += seconds
        self.longest = max(self.longest, seconds)


@dataclass
class Stage:
    """One stage of the run: from, to, and its statements by where and kind."""

    name: str
    began: datetime
    ended: datetime
    sums: dict[tuple[str, str], Sum] = field(default_factory=lambda: defaultdict(Sum))

    @property
    def seconds(self) -> float:
        return (self.ended - self.began).total_seconds()


def profile(bench: Bench, variant: Variant, console: Console, count: int = MANY_WORKERS) -> None:
    """One run there and back with every statement logged; prints the kinds of statements, stage by stage."""
    place, mapping = bench.of(variant)
    bench.start_over(place, "person")
    bench.workers.resize(count)
    servers = {"near": bench.servers.near, "far": bench.servers.far}
    starts = {name: server.log.stat().st_size for name, server in servers.items()}
    _log_statements(servers, "0")
    try:
        trip = product.migrate(place, mapping, bench.workers)
        own = _own_pid()
        product.roll_back(trip.run, bench.workers)
    finally:
        _log_statements(servers, "-1")
    logged = [
        statement
        for name, server in servers.items()
        for statement in _read(server.log, starts[name], name)
        if statement.pid != own
    ]
    stages = _stages(trip.run, trip.click)
    _sum_up(stages, logged)
    console.print(f"\n[bold]{variant.title}, {count} worker(s)[/bold]: {trip.rows:,} rows")
    console.print(
        f"work horses, CPU from click to verified: {trip.use.seconds:.2f} s of {trip.whole:.2f} s wall"
    )
    for stage in stages:
        _show(stage, console)


def _log_statements(servers: dict[str, Postgres], value: str) -> None:
    for server in servers.values():
        url = server.url("postgres")
        execute(url, f"ALTER SYSTEM SET log_min_duration_statement = {value}", "SELECT pg_reload_conf()")


def _own_pid() -> int:
    """The session by which this process watches the run."""
    connection.ensure_connection()
    return int(connection.connection.info.backend_pid)


def _read(log: Path, start: int, server: str) -> Iterator[Statement]:
    """The log's durations; a statement of several lines goes on with a tab."""
    with log.open("rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace").splitlines()
    entries: list[list[str]] = []
    for line in lines:
        if line.startswith("\t") and entries:
            entries[-1].append(line.strip())
        else:
            entries.append([line])
    for entry in entries:
        found = ENTRY.match(" ".join(entry))
        if not found or not (duration := DURATION.match(found["text"])):
            continue
        at = datetime.strptime(found["at"], "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
        where = f"{server} {'control' if found['database'] == 'migrator' else 'data'}"
        text = duration[2] or "(fetch, copy or sync without text)"
        yield Statement(at, int(found["pid"]), where, float(duration[1]) / 1000, text)


def _stages(run: Run, click: datetime) -> list[Stage]:
    moves = [(event.to_status, event.at) for event in run.events.order_by("id") if event.to_status]
    ends = [at for _, at in moves[1:]]
    planning = Stage("plan", click, moves[0][1])
    return [planning] + [
        Stage(STAGES[status], at, end)
        for (status, at), end in zip(moves, ends, strict=False)
        if status in STAGES
    ]


def _sum_up(stages: list[Stage], logged: list[Statement]) -> None:
    """A statement belongs to the stage in which its middle was."""
    for statement in logged:
        middle = statement.at - timedelta(seconds=statement.seconds / 2)
        for stage in stages:
            if stage.began <= middle < stage.ended:
                stage.sums[statement.where, kind(statement.text)].add(statement.seconds)


def kind(text: str) -> str:
    """A statement without its values, as far as it tells kinds apart; COPY and WITH by what they work on."""
    plain = LITERAL.sub("?", " ".join(text.split()))
    for word in ("INSERT INTO", "UPDATE", "DELETE FROM"):
        if plain.startswith("WITH") and word in plain:
            return f"WITH … {plain[plain.index(word) :]}"[:WIDTH]
    if plain.startswith("SELECT") and " FROM " in plain and len(plain) > WIDTH:
        half = WIDTH // 2 - 2
        return f"{plain[:half]} … {plain[plain.index(' FROM ') + 1 :][:half]}"
    return plain[:WIDTH]


def _show(stage: Stage, console: Console) -> None:
    console.print(
        f"\n{stage.name}: {stage.seconds:.2f} s; sessions work side by side, so shares may pass 100 %"
    )
    table = Table(box=None, pad_edge=False)
    for name in ("calls", "total s", "of wall", "longest s"):
        table.add_column(name, justify="right")
    table.add_column("where")
    table.add_column("statement", overflow="fold")
    ranked = sorted(stage.sums.items(), key=lambda item: -item[1].seconds)
    for (where, text), total in ranked[:SHOWN]:
        share = f"{total.seconds / stage.seconds:.0%}" if stage.seconds else ""
        table.add_row(
            str(total.calls),
            f"{total.seconds:.3f}",
            share,
            f"{total.longest:.3f}",
            where,
            text.replace("[", r"\["),
        )
    rest = ranked[SHOWN:]
    calls, seconds = sum(total.calls for _, total in rest), sum(total.seconds for _, total in rest)
    table.add_row(str(calls), f"{seconds:.3f}", "", "", "", f"({len(rest)} other kinds)")
    console.print(table)
