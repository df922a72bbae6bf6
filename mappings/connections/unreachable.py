"""Why no session could be opened, by what the server said; nothing of it tells the address."""

from __future__ import annotations

import re
from typing import Literal

UnreachableKind = Literal[
    "unanswered", "refused", "missing", "busy", "starting", "pooled", "silenced", "unsettled"
]


UNFIT: tuple[UnreachableKind, ...] = ("pooled", "silenced", "unsettled")
"""Kinds that do not pass by waiting."""


SENTENCES: dict[UnreachableKind, str] = {
    "unanswered": (
        "The database does not answer. Check host, port and TLS mode, "
        "and that it accepts connections from here."
    ),
    "refused": "The database refuses the user or the password.",
    "missing": "The database server has no database of that name.",
    "busy": "The database has no free connection left. Wait for others to leave, or raise max_connections.",
    "starting": "The database is starting, stopping or recovering. Try again in a moment.",
    "pooled": (
        "The address leads to a connection pooler that gives each transaction another session of the server"
        " (PgBouncer: pool_mode = transaction or statement), where no setting holds. Name the server itself,"
        " or a pool with pool_mode = session."
    ),
    "silenced": (
        "Triggers and foreign keys would not fire in this session: session_replication_role is not origin, by"
        " ALTER ROLE or ALTER DATABASE ... SET, and this role may not change it. RESET it there, or"
        " GRANT SET ON PARAMETER session_replication_role to the role."
    ),
    "unsettled": "The session does not keep the settings that were made in it. Name the server itself in the address.",
}


# The server says these before a connection exists, so there is no SQLSTATE to go by.
SIGNS: tuple[tuple[str, UnreachableKind], ...] = (
    ("too many clients already", "busy"),
    ("remaining connection slots", "busy"),
    ("too many connections for", "busy"),
    ("is starting up", "starting"),
    ("is shutting down", "starting"),
    ("is in recovery mode", "starting"),
    ("is not yet accepting connections", "starting"),
    ("authentication failed", "refused"),
    ("no password supplied", "refused"),
    ("no pg_hba.conf entry", "refused"),
    ("is not permitted to log in", "refused"),
    ("permission denied for database", "refused"),
)


class DatabaseUnreachable(Exception):
    """No session could be opened; the text says which kind of reason, and nothing about the address."""

    def __init__(self, kind: UnreachableKind) -> None:
        self.kind = kind
        super().__init__(SENTENCES[kind])


def kind_of(text: str) -> UnreachableKind:
    """What stood in the way, by what the server said; other servers' words all mean `unanswered`."""
    if "FATAL:" not in text:
        return "refused" if "no password supplied" in text else "unanswered"
    if re.search(r'FATAL:  database ".*" does not exist', text):
        return "missing"
    if re.search(r'FATAL:  role ".*" does not exist', text):
        return "refused"
    return next((kind for sign, kind in SIGNS if sign in text), "unanswered")
