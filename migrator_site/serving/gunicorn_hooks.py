"""gunicorn's configuration: what its command line cannot say."""

from __future__ import annotations

import signal
from typing import Any

from gunicorn.glogging import Logger

from migrator_site.processes import ask_to_end_with_parent


def post_fork(arbiter: Any, worker: Any) -> None:
    """A killed gunicorn takes its workers along: they hold the port that the next one needs."""
    ask_to_end_with_parent(signal.SIGTERM)


class AccessLog(Logger):  # type: ignore[misc]
    """A line for each request, but for polls that were answered: each page that is open asks once a second."""

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: Any) -> None:
        if not environ.get("PATH_INFO", "").endswith("/live/") or resp.status_code >= 300:
            super().access(resp, req, environ, request_time)


logger_class = AccessLog
