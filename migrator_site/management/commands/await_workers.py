"""`manage.py await_workers PID…`: until these workers of this host are at work."""

from __future__ import annotations

import socket
import sys
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from jobs.processes import seats


class Command(BaseCommand):
    """Exit status 0 when all are seated, 1 when they are not within the time."""

    help = "Wait until the workers with these process ids on this host can be rung."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("pids", nargs="*", type=int)
        parser.add_argument("--seconds", type=float, default=15)

    def handle(self, *args: Any, **options: Any) -> None:
        deadline = time.monotonic() + options["seconds"]
        seated = seats.live().filter(host=socket.gethostname(), pid__in=options["pids"])
        while seated.count() < len(set(options["pids"])):
            if time.monotonic() > deadline:
                sys.exit(1)
            time.sleep(0.1)
