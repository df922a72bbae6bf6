"""What is remembered of runs in the control database. PostgreSQL is the truth about a run; Redis only rings."""

from jobs.models.fingerprints import Fingerprint
from jobs.models.history import HistoryEntry, HistoryHead, HistoryWatch
from jobs.models.notices import Notice, Webhook, Wish
from jobs.models.reviews import Rehearsal, Review
from jobs.models.runs import Report, Run, RunEvent, StepRun
from jobs.models.schedules import Schedule
from jobs.models.seats import Seat
from jobs.models.tables import COUNTS, PHASE_FIELDS, Chunk, TableRun, save_counts

__all__ = [
    "COUNTS",
    "PHASE_FIELDS",
    "Chunk",
    "Fingerprint",
    "HistoryEntry",
    "HistoryHead",
    "HistoryWatch",
    "Notice",
    "Rehearsal",
    "Report",
    "Review",
    "Run",
    "RunEvent",
    "Schedule",
    "Seat",
    "StepRun",
    "TableRun",
    "Webhook",
    "Wish",
    "save_counts",
]
