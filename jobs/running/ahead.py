"""Goes on with many small tables without a look at all of them for each: that would cost more than the rows do."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from jobs import phases
from jobs.models import Chunk, Run
from jobs.running import claims, halving
from jobs.running.claims import SurveyedTable
from jobs.running.session import CHUNK_TIMEOUT_MS, Session

SECONDS = 0.2
"""How old a look at the tables may be at most."""


@dataclass
class Ahead:
    """The tables of the last survey of which each may go on whatever becomes of the others, until when it may be used,
    and for which stage of the run."""

    tables: Mapping[int, SurveyedTable] = field(default_factory=dict)
    until: float = 0.0
    stage: tuple[object, ...] = ()

    def note(self, session: Session, tables: Iterable[SurveyedTable]) -> None:
        """Takes from a fresh survey of all tables those to go on with."""
        self.tables = {table.pk: table for table in tables if _is_free(session, table)}
        self.until, self.stage = time.monotonic() + SECONDS, _stage(session.run)

    def claim(self, session: Session) -> Chunk | None:
        """A chunk of one of them; None where a survey is due."""
        if self.tables and time.monotonic() < self.until and self.stage == _stage(session.run):
            session.limit(CHUNK_TIMEOUT_MS)
            if chunk := claims.claim_any(session, self.tables):
                return chunk
            self.tables = {}
        return None


def _stage(run: Run) -> tuple[object, ...]:
    return run.status, run.stage_since


def _is_free(session: Session, table: SurveyedTable) -> bool:
    """Whether a table of few rows waits for no other one and for no index, and is still to be cut, by its keys."""
    planned = session.plan.table(table.name)
    waits_for_none = table.phase == phases.VERIFY or (table.phase == phases.COPY and not planned.parents)
    by_keys = not planned.into.serial and planned.feed.walk != "pages"
    return (
        waits_for_none
        and not (table.is_cut or table.is_long)
        and by_keys
        and halving.is_divisible(session, table)
    )
