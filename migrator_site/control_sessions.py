"""Whether the address of the control database leads to sessions that keep what our settings ask of them."""

from __future__ import annotations

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper

from mappings.connections.poolers import refuse_pooled
from mappings.connections.unreachable import DatabaseUnreachable

ASKED = "SELECT current_setting('lock_timeout') = '20s'"
"""The last of the settings that a session is opened with (migrator_site.settings.SERVER_PATIENCE)."""

WITHOUT_SETTINGS = (
    "The address leads to a connection pooler that does not pass on the settings of a session (its"
    " ignore_startup_parameters has options): locks would be waited for without end. Name the server itself."
)


def unfit(control: BaseDatabaseWrapper) -> str:
    """Why an open session with the control database cannot be used, as a sentence; '' where it can."""
    try:
        refuse_pooled(control.connection, control.get_connection_params())
    except (DatabaseUnreachable, psycopg.Error) as error:
        return str(error)
    with control.cursor() as cursor:
        cursor.execute(ASKED)
        return "" if cursor.fetchone() == (True,) else WITHOUT_SETTINGS
