"""`manage.py worker`: answer rings until told to stop."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs.processes import seats
from jobs.workers import rq_worker


class Command(BaseCommand):
    """Start a worker in the foreground; start as many as you like, on as many hosts as you like."""

    help = "Work on runs until SIGTERM; the slice under way then ends at a chunk boundary within 10 seconds."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", default="", help="unique among workers; default: host and process id")

    def handle(self, *args: Any, **options: Any) -> None:
        if len(options["name"]) > seats.LONGEST_NAME:
            raise CommandError(f"A worker's name has at most {seats.LONGEST_NAME} characters.", returncode=2)
        if not all(letter.isprintable() for letter in options["name"]):
            raise CommandError("A worker's name has no control characters in it.", returncode=2)
        rq_worker.serve(options["name"] or seats.default_name())
