"""What was done, by whom and to what: entries that are added and never changed, each with the hash of the one before.

The database itself numbers, dates and chains them, and refuses to change or delete one (migration `history`).
Names are kept as values, so that an entry still says them when what it tells of is gone.
"""

from __future__ import annotations

from django.db import models


class HistoryEntry(models.Model):
    """One thing that was done, or refused. Added by `jobs.history.record` alone."""

    KINDS = ("run", "mapping", "environment", "account", "notice", "schedule", "request")
    OUTCOMES = ("done", "refused", "failed", "differs")
    WAYS = ("page", "command", "api", "worker")

    number = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    kind = models.CharField(max_length=20)
    verb = models.CharField(max_length=40)
    outcome = models.CharField(max_length=10)
    actor = models.CharField(max_length=150, blank=True)  # an account, or whose terminal, or which worker
    way = models.CharField(max_length=10)  # page, command, api, worker
    place = models.CharField(max_length=200, blank=True)  # the address of the page, the command
    address = models.CharField(max_length=45, blank=True)  # where the browser was
    mapping = models.CharField(max_length=63, blank=True)
    revision = models.PositiveIntegerField(null=True, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    environment = models.CharField(max_length=63, blank=True)
    run = models.BigIntegerField(null=True, blank=True)
    subject = models.CharField(
        max_length=200, blank=True
    )  # an account, a group, whatever else it was done to
    text = models.TextField(blank=True)
    previous = models.CharField(max_length=64, blank=True)
    hash = models.CharField(max_length=64)

    class Meta:
        ordering = ["-number"]
        indexes = [
            models.Index(fields=["mapping", "-number"], name="history_of_mapping"),
            models.Index(fields=["actor", "-number"], name="history_of_actor"),
            models.Index(fields=["run", "-number"], name="history_of_run"),
            models.Index(fields=["-at"], name="history_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.number}: {self.actor} {self.verb} {self.text}"


class HistoryHead(models.Model):
    """The end of the chain: whoever adds an entry locks it, and what is cut off at the end is missed by it."""

    id = models.PositiveSmallIntegerField(primary_key=True)
    number = models.BigIntegerField()
    hash = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"up to {self.number}"


class HistoryWatch(models.Model):
    """How far the sweeper has checked the chain in its present round, and what it found in the last whole one."""

    id = models.PositiveSmallIntegerField(primary_key=True)
    number = models.BigIntegerField(default=0)  # the last entry that was looked at in this round
    hash = models.CharField(max_length=64, blank=True)
    broken = models.JSONField(default=list)  # sentences of this round
    last_number = models.BigIntegerField(default=0)  # where the last whole round ended
    last_at = models.DateTimeField(null=True, blank=True)
    last_broken = models.JSONField(default=list)
    looked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"checked up to {self.last_number}"
