"""One large table, so that a run has several chunks and can be caught in the middle of one."""

from __future__ import annotations

from jobs.actions import runs
from jobs.models import Chunk, Run
from tests.journeys.acceptance import Promise
from tests.journeys.gate import closed_gate, meanwhile
from tests.journeys.world import World, execute, fresh, work

ROWS = 30_000
HELD_UP = 12345
IN_A_LATER_CHUNK = f"NEW.number = {HELD_UP}"

SOURCE = """
CREATE TABLE item (id integer PRIMARY KEY, number integer NOT NULL, label text);
INSERT INTO item SELECT n, n, 'item ' || n FROM generate_series(1, %s) n;
"""
TARGET = (
    "CREATE TABLE thing (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, number integer, label text);"
)


def mapping_of(options: str = "") -> str:
    """The mapping file, with more options of its table in YAML's flow style, each with a comma behind it."""
    return f"""
version: 1
name: stock
tables:
  - {{name: item, source: item, target: thing, {options}
     columns: {{number: number, label: {{expr: "upper(label)"}}}}}}
"""


MAPPING = mapping_of()
BY_PAGES = mapping_of("walk: pages,")
MAP_ONLY = mapping_of("link: {source_id: false}, is_migrated: false,")
PROMISE = Promise(
    "stock",
    "item",
    "SELECT id::text, number, upper(label) FROM item",
    "SELECT number::text, id::text, number, label FROM thing",
)


def open_stock(world: World, mapping: str = MAPPING, rows: int = ROWS) -> World:
    """Fills the source and defines the mapping."""
    world.source(SOURCE % rows)
    world.target(TARGET)
    world.define(mapping, PROMISE)
    return world


def paused_half_way(stock: World) -> Run:
    """A run that was paused with some of its chunks copied."""
    with closed_gate(stock.pair.target, "thing", IN_A_LATER_CHUNK) as gate:
        run = stock.start()
        run.tables.update(chunk_rows=5_000)
        with meanwhile(lambda: work(run)):
            gate.wait_for_somebody()
            runs.pause(fresh(run), None)
            gate.open()
    assert work(run).status == "paused"
    return fresh(run)


WRITTEN_IN = f"""
SELECT l.chunk FROM thing AS t JOIN migrator.ledger AS l ON l.writer = t.xmin::text
 WHERE l.phase = 'copy' AND t.number = {HELD_UP}
"""


def held_up(run: Run) -> Chunk:
    """The chunk in which somebody waits, or waited, at the gate; of a walk by pages once it is committed."""
    chunks = Chunk.objects.filter(table__run=run, phase="copy")
    if chunks.filter(pages__isnull=False).exists():
        ((number,),) = execute(run.environment.target_url, WRITTEN_IN)
        return chunks.get(number=int(str(number)))
    return next(
        chunk
        for chunk in chunks.order_by("number")
        if int(chunk.low[0] if chunk.low else 0) < HELD_UP <= int(chunk.high[0] if chunk.high else HELD_UP)
    )
