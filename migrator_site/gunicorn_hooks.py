"""gunicorn's configuration: what its command line cannot say."""

from __future__ import annotations

import signal
from typing import Any

from migrator_site.processes import ask_to_end_with_parent


def post_fork(arbiter: Any, worker: Any) -> None:
    """A killed gunicorn takes its workers along: they hold the port that the next one needs."""
    ask_to_end_with_parent(signal.SIGTERM)
