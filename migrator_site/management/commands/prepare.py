"""`manage.py prepare`: migrate the control database, collect static files, make the administrator."""

from __future__ import annotations

import os
from secrets import token_urlsafe
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand

from migrator_site.private import kept_secret


class Command(BaseCommand):
    """What `make up` does before it opens the door; also for a deployment of another kind. Idempotent."""

    help = "Migrate the control database, collect the static files, make the administrator `admin` if there is none."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        os.umask(0o077)
        call_command("migrate", interactive=False, verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        users = get_user_model().objects
        if not users.filter(is_superuser=True).exists():
            password = kept_secret(
                settings.MIGRATOR_HOME / "secrets" / "admin-password", lambda: token_urlsafe(12)
            )
            users.create_superuser("admin", password=password)
