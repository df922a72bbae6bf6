"""The door for gunicorn, and what its worker may answer without going through it."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "migrator_site.settings")
application = get_wsgi_application()

from jobs.pages.one_run.shared_polls import answer_at_once  # noqa: E402  # needs the apps to be there

application.at_once = answer_at_once  # type: ignore[attr-defined]
