"""`manage.py demo`: load the demo's databases and mapping, and run it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs.demo import load
from mappings import store
from mappings.language import file
from mappings.models import Environment, Mapping

ENVIRONMENT = "demo"


class Command(BaseCommand):
    """The demo: two databases of generated data, and a mapping that is ready to run."""

    help = "load: make the demo databases and the mapping, unless they are there. run: migrate, verify and report."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=("load", "run"))

    def handle(self, *args: Any, **options: Any) -> None:
        self._load()
        if options["what"] == "run":
            spec = file.parse(load.MAPPING.read_bytes())
            streams = {"stdout": self.stdout._out, "stderr": self.stderr._out}
            call_command("run", "start", spec.name, "--env", ENVIRONMENT, "--wait", **streams)

    def _load(self) -> None:
        """Idempotent: what is there stays as it is, also a mapping that somebody has changed since."""
        admin_url = getattr(settings, "EMBEDDED_ADMIN_URL", "")
        if not admin_url:
            raise CommandError(
                "The demo needs the embedded PostgreSQL, and DATABASE_URL names another server.", returncode=2
            )
        environment = Environment.objects.filter(name=ENVIRONMENT).first() or Environment(name=ENVIRONMENT)
        # Set each time: the server's address may have changed since the demo was loaded.
        environment.source_url, environment.target_url = load.load_demo(admin_url)
        environment.save()
        spec = file.parse(load.MAPPING.read_bytes())
        if not Mapping.objects.filter(name=spec.name).exists():
            store.save_spec(spec, note="The demo")
