"""What is remembered of each table of a run, and of the ranges in which it is moved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import connection, models
from django.db.models import Q

from jobs import phases
from jobs.models.runs import Run
from mappings.sql import compose, ident, joined, verbatim

COUNTS = (
    "source_rows",  # in scope of the mapping: compared, and set aside
    "inserted",  # by this run
    "updated",
    "kept",
    "quarantined",
    "target_before",  # rows of the whole target table
    "target_after",
    "is_migrated",  # rows of the target that are flagged
    "map_rows",
    "missing",  # source rows that should be in the target
    "extra",  # target rows that no source row explains
    "different",
)
"""What is counted of each table of a run: for the report, the commands, JSON and the pages."""


PHASE_FIELDS = ("phase", "cut_done", "cut_until")
"""What TableRun.enter sets."""


class TableRun(models.Model):
    """One table mapping in a run: how far it is, and what verification found."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="tables")
    position = models.PositiveIntegerField()
    name = models.CharField(max_length=200)
    estimated_rows = models.BigIntegerField(default=0)
    fresh = models.BooleanField(default=True)  # nothing of this table was migrated before this run
    by_hand = models.BigIntegerField(default=0)  # rows that exported scripts had inserted before, as this run
    guarded = models.BooleanField(default=False)  # rows may be there already, so each chunk looks first
    remembered = models.BooleanField(
        default=False
    )  # rows that were rolled back get the keys again that they had
    phase = models.CharField(max_length=10, default=phases.COPY)
    upper = models.JSONField(null=True, blank=True)  # the largest source key in scope of the run, as texts
    sweeps = models.PositiveIntegerField(default=0)  # how often rows born meanwhile were taken in at the end
    cut_until = models.JSONField(null=True, blank=True)  # the last boundary, as texts
    cut_done = models.BooleanField(default=False)
    walk = models.JSONField(
        null=True, blank=True
    )  # how far its pages are copied (page_walk); null: by its keys
    chunk_rows = models.PositiveIntegerField(default=2_000)  # a small first chunk soon shows that rows arrive
    source_rows = models.BigIntegerField(default=0)
    inserted = models.BigIntegerField(default=0)
    updated = models.BigIntegerField(default=0)
    kept = models.BigIntegerField(default=0)
    quarantined = models.BigIntegerField(default=0)
    target_before = models.BigIntegerField(default=0)
    target_after = models.BigIntegerField(default=0)
    is_migrated = models.BigIntegerField(default=0)
    map_rows = models.BigIntegerField(default=0)
    compared = models.BigIntegerField(default=0)
    matched = models.BigIntegerField(default=0)
    missing = models.BigIntegerField(default=0)
    extra = models.BigIntegerField(default=0)
    different = models.BigIntegerField(default=0)
    kept_compared = models.BigIntegerField(default=0)  # rows that were there and were kept, by any run
    kept_alike = models.BigIntegerField(default=0)  # of these, those that say what their source rows say
    comparison = models.PositiveIntegerField(default=0)  # which verification of the run the last one is
    identical = models.BooleanField(default=False)  # that one compares binary images instead of equality
    # In how many passes over the whole table that one compares; 0: by ranges of keys; null: not decided yet.
    passes = models.PositiveIntegerField(null=True, blank=True)
    differences = models.BigIntegerField(default=0)  # that one found, each of a row and column
    chosen = models.BooleanField(default=False)  # only rows that somebody chose are copied and linked
    recorded = models.BigIntegerField(default=0)  # of these, those that are kept in the target
    undone = models.BigIntegerField(default=0)
    left = models.JSONField(
        default=dict, blank=True
    )  # rows that a rollback left: rows, edited, some of their keys

    class Meta:
        ordering = ["run", "position"]
        constraints = [models.UniqueConstraint(fields=["run", "name"], name="one_table_run")]
        indexes = [
            models.Index(fields=["run"], condition=Q(quarantined__gt=0), name="table_run_with_quarantine"),
        ]

    def __str__(self) -> str:
        return f"{self.name} in run {self.run_id}"

    def enter(self, phase: str, *, cut: bool) -> None:
        """Begins a phase; save PHASE_FIELDS. cut: whether its chunks are there, or are added at once.

        Raises ValueError where the phase cannot follow the present one.
        """
        if not phases.may_follow(self.phase, phase):
            raise ValueError(f"{self}: {phase} cannot follow {self.phase}")
        self.phase, self.cut_done, self.cut_until = phase, cut, None

    @property
    def done_rows(self) -> int:
        """Source rows that the copy has dealt with so far."""
        return self.inserted + self.updated + self.kept + self.quarantined


def save_counts(tables: Iterable[TableRun], names: Sequence[str]) -> None:
    """Saves these whole numbers of many tables, in one statement."""
    rows = list(tables)
    given = [[getattr(table, name) for table in rows] for name in ("id", *names)]
    columns = [ident(name) for name in names]
    with connection.cursor() as cursor:
        cursor.execute(
            compose(
                "UPDATE jobs_tablerun AS t SET {changes} FROM unnest({arrays}) AS v(id, {columns}) WHERE t.id = v.id",
                changes=joined(", ", (compose("{0} = v.{0}", column) for column in columns)),
                arrays=joined(", ", [verbatim("%s::bigint[]")] * len(given)),
                columns=joined(", ", columns),
            ),
            given,
        )


class Chunk(models.Model):
    """One range of source keys, or pages, of one table in a run, in one phase. Claimed by workers, never assigned."""

    table = models.ForeignKey(TableRun, on_delete=models.CASCADE, related_name="chunks")
    phase = models.CharField(max_length=10)
    number = models.PositiveIntegerField()
    low = models.JSONField(null=True, blank=True)  # texts of the key parts; exclusive; null: from the start
    high = models.JSONField(null=True, blank=True)  # inclusive; null: to the end
    pages = models.JSONField(null=True, blank=True)  # of the source's table, instead of a range of keys
    state = models.CharField(max_length=10, default="waiting")  # waiting, claimed, done
    worker = models.CharField(max_length=100, blank=True)
    epoch = models.PositiveIntegerField(default=0)
    size = models.PositiveBigIntegerField(default=0)  # for how many keys it was cut; 0: not counted
    attempts = models.PositiveIntegerField(default=0)  # how often a worker took it up
    troubles = models.PositiveIntegerField(default=0)  # how often of these a passing trouble stopped it
    seen = models.DateTimeField(null=True, blank=True)
    not_before = models.DateTimeField(null=True, blank=True)
    rows = models.BigIntegerField(default=0)
    seconds = models.FloatField(default=0)
    missing = models.BigIntegerField(default=0)  # source rows that comparing did not find
    different = models.BigIntegerField(default=0)
    only = models.JSONField(
        null=True, blank=True
    )  # source keys, where only these rows of the range are meant
    part = models.JSONField(
        null=True, blank=True
    )  # [number from 0, of how many] of a pass over the whole table
    samples = models.JSONField(default=list)  # what comparing found wrong, a few rows
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["table", "phase", "number"]
        constraints = [models.UniqueConstraint(fields=["table", "phase", "number"], name="one_chunk_number")]
        indexes = [
            models.Index(fields=["table", "phase", "state"], name="chunk_by_state"),
            models.Index(fields=["table"], condition=Q(state="claimed"), name="chunk_in_hand"),
        ]

    def __str__(self) -> str:
        return f"{self.phase} chunk {self.number} of {self.table}"
