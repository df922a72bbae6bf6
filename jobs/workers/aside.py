"""Work beside the sweeper's, in threads of its process: whatever waits there holds up neither a run nor the sweeper."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from django.db import DatabaseError, InterfaceError, connections

from jobs.actions import schedules
from jobs.notices import deliver
from jobs.processes import stop_signals

log = logging.getLogger(__name__)


class Aside:
    """waiting: how much there is to do; do_next: does one of it, False where there is none; most: threads at once."""

    def __init__(self, name: str, waiting: Callable[[], int], do_next: Callable[[], bool], most: int) -> None:
        self.name, self.waiting, self.do_next, self.most = name, waiting, do_next, most
        self.threads: list[threading.Thread] = []

    def wake(self) -> None:
        """Called by the sweeper at each round; goes on at once."""
        self.threads = [thread for thread in self.threads if thread.is_alive()]
        for _ in range(min(self.waiting(), self.most - len(self.threads))):
            thread = threading.Thread(target=self._work, name=self.name, daemon=True)
            thread.start()
            self.threads.append(thread)

    def _work(self) -> None:
        try:
            while not stop_signals.requested() and self.do_next():
                pass
        except (DatabaseError, InterfaceError) as error:
            log.warning("What is done beside the sweeper (%s) waits: %s", self.name, str(error).strip())
        finally:
            connections.close_all()


NOTICES = Aside("notices", lambda: deliver.due().count(), deliver.deliver_next, 4)
"""Several, so that a slow receiver keeps none of the others waiting."""

SCHEDULES = Aside("schedules", lambda: schedules.due().count(), schedules.begin_next, 1)
