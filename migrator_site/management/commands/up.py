"""`manage.py up`: everything in the foreground, until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from migrator_site import presence
from migrator_site.processes import ask_to_end_with_parent
from migrator_site.supervisor import Refusal, Supervisor, Wanted


class Command(BaseCommand):
    """Start servers, web, workers and sweeper; start again what dies; end all together."""

    help = "Start everything and stay in the foreground until Ctrl-C or SIGTERM."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--end-with-parent", action="store_true", help="stop when the caller (make) is gone"
        )
        parser.add_argument(
            "--then",
            nargs=argparse.REMAINDER,
            metavar="COMMAND",
            help="run this command of manage.py, with what `make up` runs already or else with servers and workers "
            "for its duration, without web pages; its exit status is returned",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["end_with_parent"]:
            ask_to_end_with_parent(signal.SIGTERM)
        then: list[str] | None = options["then"]
        if then == []:
            raise CommandError("--then needs a command.", returncode=2)
        if then and presence.holder(settings.MIGRATOR_HOME) is not None:
            sys.exit(subprocess.call([sys.executable, "manage.py", *then], cwd=settings.BASE_DIR))
        try:
            code = Supervisor(wanted(web=not then)).run(then)
        except Refusal as refusal:
            raise CommandError(str(refusal), returncode=2) from refusal
        sys.exit(code)


def wanted(web: bool) -> Wanted:
    """What the environment asks for."""
    return Wanted(
        base=settings.BASE_DIR,
        home=settings.MIGRATOR_HOME,
        host=settings.HOST,
        port=settings.PORT,
        workers=settings.WORKERS,
        demo=settings.DEMO,
        own_database=not os.environ.get("DATABASE_URL"),
        own_redis=not os.environ.get("REDIS_URL"),
        web=web,
    )
