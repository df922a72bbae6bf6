"""Delivers notices in threads of the sweeper's process: a slow receiver holds up neither a run nor the sweeper."""

from __future__ import annotations

import logging
import threading

from django.db import DatabaseError, InterfaceError, connections

from jobs.notices import deliver
from jobs.processes import stop_signals

AT_ONCE = 4
"""So that a slow receiver keeps none of the others waiting."""

log = logging.getLogger(__name__)
_threads: list[threading.Thread] = []


def wake() -> None:
    """Called by the sweeper at each round; goes on at once."""
    _threads[:] = [thread for thread in _threads if thread.is_alive()]
    wanted = min(deliver.due().count(), AT_ONCE - len(_threads))
    for number in range(wanted):
        thread = threading.Thread(target=_deliver_what_is_due, name=f"notices {number}", daemon=True)
        thread.start()
        _threads.append(thread)


def _deliver_what_is_due() -> None:
    try:
        while not stop_signals.requested() and deliver.deliver_next():
            pass
    except (DatabaseError, InterfaceError) as error:
        log.warning("Notices wait for the database: %s", str(error).strip())
    finally:
        connections.close_all()
