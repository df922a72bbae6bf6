"""The chunks of a run as a map: a cell for each, by state, the time it took by its shade. Drawn here, row by row.

A row is a drawing of its own, so that a page which shows ten thousand cells is sent only the rows that moved. Cells
stand in the order of the tables, within a table in that of the phases and of the chunks' numbers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from urllib.parse import urlencode

from django.db import connection
from django.db.models import QuerySet
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from jobs import phases
from jobs.models import Chunk, Run
from jobs.pages.one_run.marks import joined, line_mark, moved_places
from jobs.pages.one_run.workers import place as place_of
from jobs.pages.one_run.workers import seat_of

WIDTH = 1080
COLUMNS = ((360, 60), (2_000, 90), (12_000, 135), (30_000, 180))
"""Up to so many cells, so many stand in a row; each number goes into WIDTH."""
MOST_CELLS = 30_000
KEPT_SECONDS = 2.0
MOST_KEPT = 64
STAGES = {"copy": "copying", "verify": "verifying", "undo": "rolling back"}

# They are put together in the order of the sub-select, which its LIMIT keeps a step of its own.
# One letter for each chunk: t, waits after a trouble; w, waits; c, a worker has it; x, done and rows differ; 0 to 4,
# done, by the seconds that it took.
CELLS = """
SELECT string_agg(k.cell, '') FROM (
SELECT CASE WHEN c.state = 'claimed' THEN 'c'
            WHEN c.state = 'waiting' THEN CASE WHEN c.attempts > 0 OR c.error <> '' THEN 't' ELSE 'w' END
            WHEN c.missing + c.different > 0 THEN 'x'
            WHEN c.seconds < 0.3 THEN '0' WHEN c.seconds < 1 THEN '1' WHEN c.seconds < 3 THEN '2'
            WHEN c.seconds < 10 THEN '3' ELSE '4' END AS cell
  FROM jobs_chunk c JOIN jobs_tablerun t ON t.id = c.table_id
 WHERE t.run_id = %s AND c.phase = ANY(%s) AND (%s = '' OR t.name = %s)
 ORDER BY t.position, c.phase, c.number
 LIMIT %s) AS k
"""

LEGEND = (
    ("w", "waiting"),
    ("t", "waiting, tried before"),
    ("c", "in a worker's hands"),
    ("0", "done, under 0.3 s"),
    ("1", "under 1 s"),
    ("2", "under 3 s"),
    ("3", "under 10 s"),
    ("4", "longer"),
    ("x", "done, rows differ"),
)


@dataclass(frozen=True, slots=True)
class MapChoice:
    """Which chunks are on the map: of a stage, '' for the one that the run is in; of one table, or of all."""

    stage: str = ""
    table: str = ""

    @property
    def query(self) -> str:
        return urlencode(
            {name: text for name, text in (("stage", self.stage), ("table", self.table)) if text}
        )


@dataclass(frozen=True, slots=True)
class MapRow:
    """One row of cells, and its place from 0."""

    place: int
    svg: SafeString


@dataclass(frozen=True)
class ChunkMap:
    """The map of the chunks that were chosen. cells: a letter for each."""

    choice: MapChoice
    stage: str
    cells: str

    @property
    def count(self) -> int:
        return len(self.cells)

    @property
    def is_cut(self) -> bool:
        """Whether there may be more chunks than are drawn."""
        return self.count >= MOST_CELLS

    @property
    def stage_words(self) -> str:
        return STAGES[self.stage]

    @property
    def stages(self) -> Mapping[str, str]:
        return STAGES

    @cached_property
    def columns(self) -> int:
        return next((columns for most, columns in COLUMNS if self.count <= most), COLUMNS[-1][1])

    @property
    def pitch(self) -> int:
        return WIDTH // self.columns

    @property
    def legend(self) -> list[tuple[str, str, int]]:
        """What is on the map: letter, words, how many."""
        return [(letter, words, number) for letter, words in LEGEND if (number := self.cells.count(letter))]

    @property
    def words(self) -> str:
        """The map for who cannot see it."""
        return ", ".join(f"{number} {words}" for _, words, number in self.legend) or "no chunks"

    @cached_property
    def _rows(self) -> list[str]:
        return [self.cells[start : start + self.columns] for start in range(0, self.count, self.columns)]

    @property
    def rows(self) -> Iterator[MapRow]:
        return (MapRow(place, self._drawn(row)) for place, row in enumerate(self._rows))

    @property
    def token(self) -> str:
        """What the rows looked like, to be sent with the next question."""
        return f"{self.columns}-{len(self._rows)}-{joined(line_mark(row) for row in self._rows)}"

    def moved_rows(self, seen: str) -> list[MapRow] | None:
        """The rows that are not as they were. seen: the token then; None: the map has another shape, send it whole."""
        shape, _, before = seen.rpartition("-")
        if shape != f"{self.columns}-{len(self._rows)}":
            return None
        places = moved_places([line_mark(row) for row in self._rows], before)
        return [MapRow(place, self._drawn(self._rows[place])) for place in places]

    def _drawn(self, row: str) -> SafeString:
        """Cells of a kind are one path; its dashes make cells of a stretch."""
        stretches: dict[str, list[str]] = {}
        at = 0
        for letter, group in groupby(row):
            length = sum(1 for _ in group)
            stretches.setdefault(letter, []).append(
                f"M{at * self.pitch} {self.pitch / 2:g}h{length * self.pitch - 1}"
            )
            at += length
        paths = ((letter, "".join(parts)) for letter, parts in stretches.items())
        return format_html(
            '<svg viewBox="0 0 {} {}" class="cells cells-{}" {}>{}</svg>',
            WIDTH, self.pitch, self.columns, HIDDEN, format_html_join("", '<path class="cell-{}" d="{}"/>', paths),
        )  # fmt: skip


HIDDEN = mark_safe('aria-hidden="true" focusable="false"')

_READ: dict[tuple[int, MapChoice, str], tuple[float, str]] = {}


def map_choice(asked: Mapping[str, str]) -> MapChoice:
    """What an address asks for."""
    stage = asked.get("stage", "")
    return MapChoice(stage if stage in STAGES else "", asked.get("table", "")[:200])


def chunk_map(run: Run, choice: MapChoice, kept: bool = False) -> ChunkMap:
    """The map as it is now. kept: one that was read for somebody else a moment ago will do."""
    stage = choice.stage or (run.stage if run.stage in STAGES else "copy")
    key, now = (run.pk, choice, f"{run.uid}{stage}"), time.monotonic()
    at, cells = _READ.get(key, (0.0, ""))
    if not kept or key not in _READ or now - at > KEPT_SECONDS:
        cells = _read(run, stage, choice.table)
        if len(_READ) >= MOST_KEPT:
            _READ.clear()
        _READ[key] = (now, cells)
    return ChunkMap(choice, stage, cells)


def forget() -> None:
    """Forgets what was read for others."""
    _READ.clear()


def _read(run: Run, stage: str, table: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(CELLS, [run.pk, list(phases.OF_STAGE[stage]), table, table, MOST_CELLS])
        (cells,) = cursor.fetchone() or ("",)
    return cells or ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One chunk of the map in words. where: its range of keys or pages; worker: who has it, or did it."""

    chunk: Chunk
    doing: str
    where: str
    worker: str


def cell_at(run: Run, choice: MapChoice, place: int) -> Cell | None:
    """The chunk at that place of the map, from 0."""
    stage = choice.stage or (run.stage if run.stage in STAGES else "copy")
    chunks: QuerySet[Chunk] = Chunk.objects.filter(table__run=run, phase__in=phases.OF_STAGE[stage])
    if choice.table:
        chunks = chunks.filter(table__name=choice.table)
    ordered = chunks.select_related("table").defer("samples").order_by("table__position", "phase", "number")
    chunk = ordered[place : place + 1].first() if place < MOST_CELLS else None
    if chunk is None:
        return None
    worker = seat_of(chunk.worker) if chunk.worker else ""
    return Cell(chunk, phases.DOING[chunk.phase], place_of(chunk.low, chunk.high, chunk.pages), worker)
