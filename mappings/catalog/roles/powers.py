"""Whether a session could do anything on its server: as a superuser, by becoming one, or by its files and programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from mappings.sql import Sql, encoded, printed, verbatim


@dataclass(frozen=True, slots=True)
class Powers:
    """role: the session's; superuser: one that it is or may become, '' for none, both quoted as SQL needs it; server:
    the roles that let it read or write files of the server or run programs on it."""

    role: Sql
    superuser: Sql
    server: tuple[str, ...]

    def __str__(self) -> str:
        if self.superuser == self.role:
            return f"{self.role} is a superuser"
        if self.superuser:
            return f"{self.role} may become the superuser {self.superuser}"
        return f"{self.role} is a member of {', '.join(self.server)}"


POWERS = verbatim("""
WITH mine AS (
  SELECT r.rolname FROM pg_roles r WHERE r.rolname IN (current_user, session_user))
SELECT quote_ident(mine.rolname),
       coalesce((SELECT quote_ident(r.rolname) FROM pg_roles r
                  WHERE r.rolsuper AND pg_has_role(mine.rolname, r.oid, 'MEMBER')
                  ORDER BY r.rolname <> mine.rolname, r.rolname LIMIT 1), '') AS superuser,
       ARRAY(SELECT r.rolname::text FROM pg_roles r
              WHERE r.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files')
                AND pg_has_role(mine.rolname, r.oid, 'MEMBER') ORDER BY 1) AS server
  FROM mine ORDER BY mine.rolname <> current_user
""")
"""Membership counts even where it is not inherited: SET ROLE takes it."""


def of(conn: psycopg.Connection[Any]) -> Powers | None:
    """What the session's role could do beyond its tables; None for nothing."""
    with psycopg.RawCursor(conn) as cursor:
        result = [
            Powers(printed(role), printed(superuser), tuple(server))
            for role, superuser, server in cursor.execute(encoded(POWERS))
        ]
    return next((powers for powers in result if powers.superuser or powers.server), None)
