"""The engine alone, without runs: a plan of small tables, and one function for each thing it does to a chunk."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace

import psycopg

from jobs.engine.feed import Work
from jobs.engine.moving import compare as comparing
from jobs.engine.moving import copy as copying
from jobs.engine.moving import link as linking
from jobs.engine.moving import ranges as chunks
from jobs.engine.moving import sequences, undo_ranges
from jobs.engine.moving import undo as undoing
from jobs.engine.moving.compare import Compared
from jobs.engine.one_pass import compare as one_pass
from jobs.engine.one_pass import scattered
from jobs.engine.schema import apply
from jobs.engine.schema.apply import Sides
from jobs.engine.sql.walks.chunk_range import Range
from jobs.engine.target import ledger
from jobs.engine.target.ledger import Done, Ticket
from mappings.compiling.names.resolve import Databases
from mappings.connections import sessions
from mappings.language.file import parse
from mappings.plan.model import Plan
from mappings.planning.planner import Planning
from tests.conftest import Pair
from tests.journeys.world import execute

Rows = list[tuple[object, ...]]
WHOLE = Range()
EMPTY = "DROP SCHEMA IF EXISTS old, new, migrator CASCADE; CREATE SCHEMA old; CREATE SCHEMA new"


class Rig:
    """Schemas `old` and `new`, a plan between them, and run 1 of it under epoch 1."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.same = pair.source == pair.target
        for url in dict.fromkeys(pair):
            execute(url, EMPTY)
        self.reconnect()
        self.epoch = 1
        self.passes = 0  # in how many passes over both sides tables are compared; 0: by ranges of keys
        self.number = 0

    def reconnect(self) -> None:
        """Opens both sessions."""
        self.source = sessions.connect(self.pair.source, purpose="rig source")
        self.target = self.source if self.same else sessions.connect(self.pair.target, purpose="rig target")

    def close(self) -> None:
        """Closes both sessions."""
        self.source.close()
        self.target.close()

    def old(self, statements: str) -> Rows:
        """Executes statements at the source, in schema old; the last one's rows."""
        return execute(self.pair.source, f"SET search_path = old; {statements}")

    def new(self, statements: str) -> Rows:
        """Executes statements at the target, in schema new; the last one's rows."""
        return execute(self.pair.target, f"SET search_path = new; {statements}")

    def planned(self, tables: str, options: str = "", safe: bool = False) -> Plan:
        """The plan of a mapping: the items of `tables:`, each a YAML flow mapping on a line of its own."""
        items = "".join(f"  - {line.strip()}\n" for line in tables.strip().splitlines())
        spec = parse(f"version: 1\nname: rig\n{options}\ntables:\n{items}")
        planning = Planning(spec, Databases(self.source, self.target, self.same), safe=safe)
        plan = planning.plan(1, "0" * 64, "local")
        assert plan.blockers == ()
        self.plan = plan
        return plan

    def ready(self, tables: str, options: str = "") -> None:
        """Plans a mapping, registers run 1, and applies the schema steps."""
        self.planned(tables, options)
        self.register()
        for step in self.plan.steps:
            apply.apply(self.sides, self.plan, 1, step, print)

    def register(self, run: int = 1) -> None:
        """Makes a run known in the target under the present epoch."""
        ledger.install(self.target)
        ledger.enter(self.target, run, uuid.uuid4(), self.plan.mapping, self.plan.sha256, "local")
        ledger.raise_epoch(self.target, run, self.epoch)

    @property
    def sides(self) -> Sides:
        """Both sessions, for schema steps."""
        return Sides(self.source, self.target)

    def work(self, table: str = "", run: int = 1, fresh: bool = True, guarded: bool = False) -> Work:
        """What the engine works with on a table, the only one by default."""
        planned = self.plan.table(table or self.plan.tables[0].name)
        return Work(self.plan, planned, run, fresh, guarded, self.source, self.target)

    def ticket(self, work: Work, phase: str, chunk: Range = WHOLE) -> Ticket:
        """A ticket that was not used yet."""
        self.number += 1
        return Ticket(work.run, self.epoch, work.table.name, phase, self.number, chunk)

    def copy(self, work: Work | None = None, chunk: Range = WHOLE) -> Done:
        """Copies one chunk."""
        work = work or self.work()
        return copying.copy_chunk(work, self.ticket(work, "copy", chunk))

    def link(self, work: Work | None = None, chunk: Range = WHOLE) -> Done:
        """Links one chunk."""
        work = work or self.work()
        return linking.link_chunk(work, self.ticket(work, "link", chunk))

    def undo(self, work: Work | None = None, chunk: Range = WHOLE) -> Done:
        """Takes one chunk of a run's rows back."""
        work = work or self.work()
        return undoing.undo_chunk(work, self.ticket(work, "undo", chunk))

    def unlink(self, work: Work | None = None, chunk: Range = WHOLE) -> Done:
        """Unlinks one chunk of a run's rows."""
        work = work or self.work()
        return undoing.unlink_chunk(work, self.ticket(work, "unlink", chunk))

    def compare(self, work: Work | None = None, chunk: Range = WHOLE) -> Compared:
        """Compares one chunk; or, in passes, all of the table."""
        work = work or self.work()
        if not self.passes:
            return comparing.compare_chunk(work, chunk)
        parts = [scattered.part(work, number, self.passes) for number in range(self.passes)]
        found = [one_pass.compare_part(work, replace(chunk, part=part)) for part in parts]
        return comparing.summed(found)

    def cut(self, rows: int, work: Work | None = None) -> list[Range]:
        """The ranges into which the source is cut, one boundary after the other."""
        work, ranges, low = work or self.work(), [], None
        while high := chunks.next_boundary(work, low, None, rows):
            ranges.append(Range(low, high))
            low = high
        return [*ranges, Range(low, None)]

    def walk(self, rows: int, work: Work | None = None) -> list[Range]:
        """The ranges into which a run's own rows are cut for their removal; where a map tells them, by writer."""
        work, ranges, low = work or self.work(), [], None
        if work.table.link.keep_map:
            return undo_ranges.map_ranges(work, rows, 1)
        while high := undo_ranges.next_boundary(work, low, rows):
            ranges.append(Range(low, high))
            low = high
        return [*ranges, Range(low, None)]

    def advance_sequences(self, work: Work | None = None) -> None:
        """Puts the sequences past the largest mapped value."""
        work = work or self.work()
        sequences.put_ahead(work, work.table.into.sequences)

    def again(self, run: int = 2) -> Work:
        """The table in a second run that finds rows of the first."""
        self.register(run)
        return replace(self.work(run=run), fresh=False, guarded=True)


def columns(conn: psycopg.Connection, table: str) -> Sequence[tuple[str, str]]:
    """(name, type) of a table's columns and the definitions of its indexes."""
    return conn.execute(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = %(t)s::regclass AND attnum > 0 AND NOT attisdropped"
        " UNION ALL SELECT indexrelid::regclass::text, indisvalid::text || pg_get_indexdef(indexrelid)"
        " FROM pg_index WHERE indrelid = %(t)s::regclass ORDER BY 1",
        {"t": table},
    ).fetchall()
