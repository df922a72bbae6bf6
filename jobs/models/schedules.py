"""When the runs of a mapping in an environment are verified again by themselves."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from mappings.models import Environment, Mapping


class Schedule(models.Model):
    """Every so many hours, or daily at a time (UTC), or neither; and whether rows moved by hand are looked for."""

    mapping = models.ForeignKey(Mapping, on_delete=models.CASCADE, related_name="+")
    environment = models.ForeignKey(Environment, on_delete=models.CASCADE, related_name="+")
    every_hours = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(744)]
    )
    daily_at = models.TimeField(null=True, blank=True)
    after_hand_run = models.BooleanField(default=False)
    next_at = models.DateTimeField(null=True, blank=True)  # when it is verified next
    look_at = models.DateTimeField(null=True, blank=True)  # when rows moved by hand are looked for next
    said = models.TextField(blank=True)  # what came of the last time

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["mapping", "environment"], name="one_schedule_of_each"),
            models.CheckConstraint(
                condition=Q(every_hours=None) | Q(daily_at=None), name="schedule_is_of_one_kind"
            ),
        ]

    def __str__(self) -> str:
        times = f"every {self.every_hours} h" if self.every_hours else ""
        if self.daily_at:
            times = f"daily at {self.daily_at:%H:%M} UTC"
        hand = "after a run by hand" if self.after_hand_run else ""
        return " and ".join(one for one in (times, hand) if one) or "never"
