"""What is remembered of a run, its schema steps, what happened to it, and its reports."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

from django.conf import settings
from django.db import connection, models
from django.db.models import Q
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.utils import timezone

from jobs import clock, states
from jobs.concurrency import Concurrency
from mappings.models import Environment, Mapping, Revision
from mappings.sql import Sql, compose, ident, joined

LONG_SECONDS, FORGOTTEN_SECONDS = 3.0, 10.0
"""From when on a statement is told of, and after what time in which nobody saw it, it is no more."""


def _of_plan(key: str) -> models.GeneratedField:
    """What the database itself keeps beside a plan, so that a list need not read the plan, which may be large."""
    return models.GeneratedField(
        expression=KeyTextTransform(key, "plan"), output_field=models.TextField(null=True), db_persist=True
    )


class Run(models.Model):
    """One execution of a plan."""

    STATUS_CHOICES = [(status, status.replace("_", " ")) for status in states.STATUSES]

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    mapping = models.ForeignKey(Mapping, on_delete=models.PROTECT, related_name="runs")
    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="runs")
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="runs")
    plan = models.JSONField()
    plan_sha256 = _of_plan("sha256")
    plan_source = _of_plan("source_identity")
    plan_target = _of_plan("target_identity")
    plan_selected = models.GeneratedField(
        expression=KeyTransform("selected", "plan"), output_field=models.JSONField(null=True), db_persist=True
    )
    fingerprint = models.CharField(max_length=64, blank=True)  # of the tables, when the plan was made
    status = models.CharField(max_length=20, choices=STATUS_CHOICES, default=states.QUEUED)
    stage = models.CharField(max_length=10, default="prepare")
    epoch = models.PositiveIntegerField(default=1)
    keep_schema = models.BooleanField(default=False)
    edited = models.CharField(max_length=10, blank=True)  # at a rollback: leave, force; else those were none
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True)
    error = models.TextField(blank=True)
    waiting_for = models.TextField(blank=True)
    at_work = models.JSONField(
        null=True, blank=True
    )  # by, side, statement, since, seen (seconds of the epoch)
    created = models.DateTimeField(default=timezone.now)
    started = models.DateTimeField(null=True, blank=True)
    finished = models.DateTimeField(null=True, blank=True)
    stage_since = models.DateTimeField(null=True, blank=True)  # since when the present status is worked on
    prepare_seconds = models.FloatField(default=0)
    copy_seconds = models.FloatField(default=0)
    verify_seconds = models.FloatField(default=0)
    undo_seconds = models.FloatField(default=0)
    lease_owner = models.CharField(max_length=100, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    throttles = models.JSONField(default=dict, blank=True)  # Throttles.to_json(); empty: none
    paced_until = models.DateTimeField(null=True, blank=True)  # until when the rows moved so far are paid for
    rests_until = models.DateTimeField(null=True, blank=True)  # the end of the pause after the last chunk
    looked_at = models.DateTimeField(null=True, blank=True)  # when somebody last looked for stop signals
    signal = models.TextField(blank=True)  # why they say wait
    concurrency = models.JSONField(
        null=True, blank=True
    )  # Concurrency.to_json(): how many may hold chunks at once; null: as many as begin
    sweeps_left = models.PositiveIntegerField(
        default=5
    )  # how often what a comparison misses may still be copied
    rows_before_sweep = models.BigIntegerField(null=True, blank=True)  # brought when the last of these began

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["mapping", "environment"],
                condition=Q(status__in=sorted(states.ACTIVE)),
                name="one_active_run",
                violation_error_message="A run of this mapping is active in this environment.",
            ),
            models.CheckConstraint(condition=Q(status__in=states.STATUSES), name="run_status_known"),
        ]
        indexes = [
            models.Index(  # with what lists ask of the last run of a pair, so that they need not read the runs
                fields=["mapping", "environment", "-id"],
                include=["status", "revision"],
                name="run_last_of_pair",
            ),
            models.Index(fields=["status", "-id"], name="run_by_status"),
        ]

    def __str__(self) -> str:
        return f"Run {self.pk} of {self.mapping.name} in {self.environment.name}"

    def look_again(self) -> None:
        """Reads what may have changed: not what it was made from, nor the plan, which may be large.

        A worker does so many times for each chunk: composing the query anew takes ten times as long as asking it.
        """
        with connection.cursor() as cursor:
            cursor.execute(compose("SELECT {} FROM jobs_run WHERE id = %s", _changing()), [self.pk])
            row = cursor.fetchone()
        if row is None:
            raise Run.DoesNotExist
        for field, value in zip(_may_change(), row, strict=True):
            read: Callable[..., Any] | None = getattr(field, "from_db_value", None)
            setattr(self, field.attname, read(value, None, connection) if read else value)

    def read_status(self) -> str:
        """The status that it has by now, which it then is known to have."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT status FROM jobs_run WHERE id = %s", [self.pk])
            row = cursor.fetchone()
        if row is None:
            raise Run.DoesNotExist
        self.status = row[0]
        return self.status

    @property
    def most_at_once(self) -> int:
        """How many sessions may hold chunks of its long tables at once."""
        return int(self.concurrency["limit"]) if self.concurrency else int(settings.WORKERS_AT_FIRST)

    @property
    def told_concurrency(self) -> str:
        """How many workers have chunks of it at once, and why, as a sentence without its end; '' where all may."""
        if not self.concurrency or self.status not in states.WORKING:
            return ""
        return Concurrency.from_json(self.concurrency).sentence()

    @property
    def is_active(self) -> bool:
        """Whether the run still holds its mapping in its environment."""
        return self.status in states.ACTIVE

    @property
    def is_held_rollback(self) -> bool:
        """Whether it is a rollback that pauses: neither migrated nor as before, so it has to be gone on with."""
        return self.stage == "undo" and self.status in (states.PAUSING, states.PAUSED)

    @property
    def waits_because(self) -> str:
        """Why nothing moves, as a sentence without its end; '' if something does."""
        if not self.waiting_for or not self.is_active:
            return ""
        said = "waiting because"
        return self.waiting_for if said in self.waiting_for else f"{said} {self.waiting_for}"

    @property
    def long_statement(self) -> str:
        """The statement that a server has been at for a while, where and since when, as a sentence without its end; ''
        where none is, or something stands in the way."""
        told, now = self.at_work, clock.now()
        if not told or not self.is_active or self.waits_because:
            return ""
        if (
            now.timestamp() - told["since"] < LONG_SECONDS
            or now.timestamp() - told["seen"] > FORGOTTEN_SECONDS
        ):
            return ""
        since = timezone.localtime(datetime.fromtimestamp(told["since"], UTC)).strftime("%H:%M:%S")
        return f"at work in the {told['side']} since {since}: {told['statement']}"

    @property
    def seconds(self) -> float:
        """What its stages took together, the present one up to now: not what it paused, or lay there between."""
        done = self.prepare_seconds + self.copy_seconds + self.verify_seconds + self.undo_seconds
        if self.status not in states.WORKING or not self.stage_since:
            return done
        return done + (clock.now() - self.stage_since).total_seconds()

    @property
    def took(self) -> float:
        """The same; of a rollback, which may come days after the run, only what it took itself."""
        if self.stage != "undo":
            return self.seconds
        if self.status != states.ROLLING_BACK or not self.stage_since:
            return self.undo_seconds
        return self.undo_seconds + (clock.now() - self.stage_since).total_seconds()


@cache
def _may_change() -> tuple[models.Field[Any, Any], ...]:
    fields = Run._meta.concrete_fields
    return tuple(f for f in fields if not (f.is_relation or f.generated or f.name == "plan"))


@cache
def _changing() -> Sql:
    return joined(", ", (ident(str(field.column)) for field in _may_change()))


class StepRun(models.Model):
    """One schema step of a run: its SQL, and how it went, forward or back."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveIntegerField()
    backward = models.BooleanField(default=False)
    title = models.CharField(max_length=300)
    sql = models.TextField()
    state = models.CharField(max_length=10, default="waiting")  # waiting, running, done, kept, failed
    seconds = models.FloatField(default=0)
    note = models.TextField(blank=True)

    class Meta:
        ordering = ["run", "backward", "position"]
        constraints = [
            models.UniqueConstraint(fields=["run", "backward", "position"], name="one_step_per_position")
        ]

    def __str__(self) -> str:
        return f"{self.title} ({self.state})"


class RunEvent(models.Model):
    """Something that happened to a run: a move, a warning, a retry; who, when and why."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(default=timezone.now)
    level = models.CharField(max_length=10, default="info")  # info, warning, error
    actor = models.CharField(max_length=150, blank=True)
    text = models.TextField()
    from_status = models.CharField(max_length=20, blank=True)
    to_status = models.CharField(max_length=20, blank=True)

    class Meta:
        ordering = ["run", "id"]

    def __str__(self) -> str:
        return self.text


class Report(models.Model):
    """The evidence that one verification collected."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="reports")
    created = models.DateTimeField(default=timezone.now)
    passed = models.BooleanField()
    tables = models.JSONField()  # one object per table: the counts of contract section 3 and `samples`
    seconds = models.FloatField(default=0)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Report of run {self.run_id}: {'agrees' if self.passed else 'differs'}"
