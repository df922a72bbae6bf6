"""Row security that would hide rows of a table from this session, which the server therefore refuses to read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import class_row

from mappings.catalog.kept import kept
from mappings.sql import encoded, verbatim


@dataclass(frozen=True, slots=True)
class Hiding:
    """A table whose rows a role may not all see. view: by which it is read as that role, '' for the table itself;
    owned: the role has the owner's rights, so that only FORCE makes it subject to policies."""

    table: str
    role: str
    view: str
    policies: list[str]
    owned: bool
    owner: str

    def __str__(self) -> str:
        names = ", ".join(self.policies)
        by = f"by the policies {names}" if len(self.policies) > 1 else f"by the policy {names}"
        hidden = by if self.policies else "by having no policy for anybody"
        read = f", as whom the view {self.view} reads it" if self.view else ""
        return f"row security of {self.table} hides rows from the role {self.role}{read}, {hidden}; {self._remedy}"

    @property
    def _remedy(self) -> str:
        bypass = f"the role needs BYPASSRLS (ALTER ROLE {self.role} BYPASSRLS)"
        if self.owned:
            return (
                f"it is forced on the owner too: {bypass},"
                f" or ALTER TABLE {self.table} NO FORCE ROW LEVEL SECURITY"
            )
        return f"{bypass}, or the rights of the table's owner (GRANT {self.owner} TO {self.role})"


HIDING = verbatim("""
WITH RECURSIVE reached(oid, role, view) AS (
  SELECT $1::oid, (SELECT r.oid FROM pg_roles r WHERE r.rolname = current_user), 0::oid
  UNION
  SELECT d.refobjid, CASE WHEN EXISTS (SELECT FROM pg_options_to_table(v.reloptions) AS o
                                        WHERE o.option_name = 'security_invoker' AND o.option_value::boolean)
                          THEN (SELECT r.oid FROM pg_roles r WHERE r.rolname = current_user) ELSE v.relowner END, v.oid
    FROM reached JOIN pg_class v ON v.oid = reached.oid AND v.relkind = 'v' JOIN pg_rewrite w ON w.ev_class = v.oid
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass
     AND d.refobjid <> v.oid)
SELECT DISTINCT c.oid::regclass::text AS table, quote_ident(r.rolname) AS role,
       CASE WHEN reached.view <> 0 THEN reached.view::regclass::text ELSE '' END AS view,
       ARRAY(SELECT p.polname::text FROM pg_policy p WHERE p.polrelid = c.oid ORDER BY 1) AS policies,
       pg_has_role(r.oid, c.relowner, 'USAGE') AS owned, c.relowner::regrole::text AS owner
  FROM reached JOIN pg_class c ON c.oid = reached.oid JOIN pg_roles r ON r.oid = reached.role
 WHERE c.relrowsecurity AND NOT (r.rolsuper OR r.rolbypassrls)
   AND (c.relforcerowsecurity OR NOT pg_has_role(r.oid, c.relowner, 'USAGE'))
 ORDER BY 1, 2
""")
"""$1: a table or view. As PostgreSQL decides it (check_enable_rls), also for what a view reads as its owner."""

CHILDREN = verbatim("""
SELECT k.conrelid::bigint FROM pg_constraint k
 WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confrelid = $1 AND k.conrelid <> $1 ORDER BY 1
""")
"""The tables whose rows may point to those of $1."""


@kept(most=1000)
def hiding(conn: psycopg.Connection[Any], oid: int) -> tuple[Hiding, ...]:
    """What hides rows of a table, or of the tables that a view reads, from this session's role."""
    with psycopg.RawCursor(conn, row_factory=class_row(Hiding)) as cursor:
        return tuple(cursor.execute(encoded(HIDING), [oid]))


def hiding_children(conn: psycopg.Connection[Any], oid: int) -> tuple[Hiding, ...]:
    """The same of tables that have a foreign key onto it: a rollback looks for rows that hang on those it deletes."""
    with psycopg.RawCursor(conn) as cursor:
        children = [row[0] for row in cursor.execute(encoded(CHILDREN), [oid])]
    return tuple(one for child in children for one in hiding(conn, child))
