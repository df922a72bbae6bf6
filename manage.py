#!/usr/bin/env python3
"""Django's command line; commands that need the servers say so in a sentence when there are none."""

from __future__ import annotations

import os
import sys
import time

ENOUGH_SEEN = 141  # as a shell reports a program that SIGPIPE ended
RECOVERY_SECONDS = 10  # a PostgreSQL that crashed reads its log before it lets anybody in
NEEDS_NO_SERVERS = frozenset(
    ("up", "help", "version", "check", "makemigrations", "collectstatic", "findstatic", "diffsettings")
)

STRANGERS_CHECK = frozenset(("--check", "--source", "--target", "--public-key"))
"""What `run evidence` is given by somebody who has the file, the key and the two databases, and no installation."""


def needs_no_servers(arguments: list[str]) -> bool:
    """Whether the command can do its work without a control database."""
    command = arguments[0] if arguments else "help"
    if command.startswith("-") or command in NEEDS_NO_SERVERS or {"-h", "--help"} & set(arguments[1:]):
        return True
    named = {argument.partition("=")[0] for argument in arguments[2:]}
    return arguments[:2] == ["run", "evidence"] and named >= STRANGERS_CHECK


def refuse(sentence: str) -> None:
    """End with exit status 2: refused before anything was changed."""
    sys.stderr.write(f"{sentence}\n")
    sys.exit(2)


def require_servers() -> None:
    """Refuse unless the control database answers. Leaves no connection behind: workers fork later."""
    import django
    from django.conf import settings
    from django.db import connection
    from django.db.utils import OperationalError

    from migrator_site import control_sessions

    if not settings.DATABASE_FOUND:
        refuse(
            f"No servers are running for MIGRATOR_HOME {settings.MIGRATOR_HOME}. Start them with `make up` in another "
            "terminal, or set DATABASE_URL and REDIS_URL."
        )
    django.setup()
    deadline = time.monotonic() + RECOVERY_SECONDS
    try:
        while True:
            try:
                connection.ensure_connection()
                unfit = control_sessions.unfit(connection)
                return refuse(f"The control database: {unfit}") if unfit else None
            except OperationalError as error:
                reason = str(error).strip().splitlines()[0]
                if "starting up" not in reason or time.monotonic() > deadline:
                    return refuse(f"The control database does not answer: {reason}. Is DATABASE_URL right?")
            time.sleep(0.2)
    finally:
        connection.close()


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "migrator_site.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        if not needs_no_servers(sys.argv[1:]):
            require_servers()
        execute_from_command_line(sys.argv)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough, as `| head` has
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # what is left goes nowhere, in silence
        sys.exit(ENOUGH_SEEN)
    except ImproperlyConfigured as error:  # the settings are read by whoever needs them first
        refuse(str(error))


if __name__ == "__main__":
    main()
