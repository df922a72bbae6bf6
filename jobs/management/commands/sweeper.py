"""`manage.py sweeper`: ring, every few seconds, what should be running and is not."""

from __future__ import annotations

import signal
from typing import Any

from django.core.management.base import BaseCommand

from jobs.processes import stop_signals
from jobs.workers import sweeper


class Command(BaseCommand):
    """Start the sweeper in the foreground. One is enough; several do no harm."""

    help = "Ring the workers, every few seconds, for runs that should be going on and are not; until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        stop_signals.listen(signal.SIGTERM, signal.SIGINT)
        sweeper.sweep_for_ever()
