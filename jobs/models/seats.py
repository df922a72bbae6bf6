"""Which worker processes there are."""

from __future__ import annotations

from django.db import models


class Seat(models.Model):
    """A worker process that can be rung: its queue, and when it was last seen."""

    name = models.CharField(max_length=100, unique=True)
    queue = models.CharField(max_length=120)
    host = models.CharField(max_length=200)
    pid = models.PositiveIntegerField()
    seen = models.DateTimeField()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name} on {self.host}"
