"""The app that executes plans."""

from __future__ import annotations

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """One execution of a plan: runs, chunks, reports."""

    name = "jobs"
    verbose_name = "Runs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Plans say from here on which approvals are missing, and the history hears of accounts and definitions: runs
        know, and mappings do not know runs."""
        from jobs.actions import promotion
        from jobs.history import accounts, definitions
        from mappings.planning import planner

        planner.gates.append(promotion.with_approvals)
        accounts.listen()
        definitions.listen()
