"""What is remembered of plans that were looked at or tried before a start."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from mappings.models import Environment, Mapping, Revision


class Review(models.Model):
    """A plan that is looked at before a start, and how far its making is. long: a worker makes it."""

    revision = models.ForeignKey(Revision, on_delete=models.CASCADE, related_name="reviews")
    environment = models.ForeignKey(Environment, on_delete=models.CASCADE, related_name="reviews")
    selected = models.JSONField(default=list)  # names of the tables to move; none: all
    safe = models.BooleanField(
        default=False
    )  # whether columns are widened without a long lock, where possible
    long = models.BooleanField(default=False)
    state = models.CharField(max_length=10, default="waiting")  # waiting, measuring, done, failed
    worker = models.CharField(max_length=100, blank=True)
    seen = models.DateTimeField(null=True, blank=True)
    doing = models.CharField(max_length=200, blank=True)  # the table that is measured now
    tables_done = models.PositiveIntegerField(default=0)
    tables_total = models.PositiveIntegerField(default=0)
    plan = models.JSONField(null=True, blank=True)
    problems = models.JSONField(default=list)  # pairs of path and text, where no plan could be made
    created = models.DateTimeField(default=timezone.now)
    finished = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Review of {self.revision} in {self.environment}: {self.state}"


class Rehearsal(models.Model):
    """The whole plan of a mapping, executed and rolled back, and what that found."""

    mapping = models.ForeignKey(Mapping, on_delete=models.CASCADE, related_name="rehearsals")
    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="rehearsals")
    environment = models.ForeignKey(Environment, on_delete=models.CASCADE, related_name="rehearsals")
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    created = models.DateTimeField(default=timezone.now)
    report = models.JSONField()  # jobs.engine.tried.Tried as plain values

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Rehearsal {self.pk} of {self.mapping.name} in {self.environment.name}"
