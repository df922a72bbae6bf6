"""What the target's tables were when a run began, and what they are after its rollback."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from jobs.models.runs import Run


class Fingerprint(models.Model):
    """One target table of a run, or a source table that gets back-references: jobs.engine.target.fingerprints, as JSON.

    of_run: the run whose start the rollback is held against, the first of those that were in the target together.
    rows_after, writers, schema_after: of its rollback, each null until it was looked at; schema_kept: why steps of it
    were not undone; unexplained: in words, what of what differs nobody accounts for.
    """

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="fingerprints")
    position = models.PositiveIntegerField()
    side = models.CharField(max_length=10, default="target")
    target = models.CharField(max_length=300)  # quoted as in SQL
    tables = models.JSONField(default=list)  # the table mappings that fill it
    taken = models.DateTimeField(default=timezone.now)
    before = models.JSONField()
    of_run = models.PositiveBigIntegerField(null=True, blank=True)
    rows_after = models.JSONField(null=True, blank=True)
    writers = models.JSONField(null=True, blank=True)
    schema_after = models.JSONField(null=True, blank=True)
    schema_kept = models.TextField(blank=True)
    unexplained = models.JSONField(default=list, blank=True)
    compared = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["run", "position"]
        constraints = [
            models.UniqueConstraint(fields=["run", "side", "target"], name="one_fingerprint_of_a_table")
        ]

    def __str__(self) -> str:
        return f"{self.target} when run {self.run_id} began"
