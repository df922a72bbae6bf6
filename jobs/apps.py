"""The app that executes plans."""

from __future__ import annotations

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """One execution of a plan: runs, chunks, reports."""

    name = "jobs"
    verbose_name = "Runs"
    default_auto_field = "django.db.models.BigAutoField"
