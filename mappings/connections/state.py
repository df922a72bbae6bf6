"""What every session with a source or a target has in common, a worker's as an exported script's.

Nothing that a role, a database or another user of it decided may change what our statements mean:

- The path has nothing in it that a user may write to, so every function, type and operator that we name is
  PostgreSQL's own. What belongs to an extension or to a user is named with its schema (mappings.sql.operator).
- Rows are never hidden in silence: with row_security off the server refuses instead.
- Triggers and foreign keys fire (session_replication_role is asserted, as to set it takes a right).

The triggers of the target, and the functions in its checks and defaults, go on as for any other session of the role:
while a statement runs that fires them, the path has the schemas of the role's own path as well (jobs.engine.sql.firing:
the statement is parsed before, so the path never decides what the statement itself means). Left out are schemas in
which somebody may create who is neither a superuser, nor the database's owner, nor this role: whoever can do that could
otherwise have his operators run with our rights.
"""

from __future__ import annotations

from typing import Literal

from mappings.sql import FIXED_PATH, NOTHING, Sql, compose, verbatim

BOUND_SCHEMAS = (
    "{verb} pg_catalog.set_config('migrator.schemas',"
    " (pg_catalog.current_schemas(false))::pg_catalog.text, {local})"
)
"""Keeps the schemas of the path that is in force; every name in it is bound, as that path may have anything in it."""

TRUSTED = verbatim(
    "(r.oid IS NOT NULL AND (r.rolsuper OR r.rolname = current_user OR r.rolname = 'pg_database_owner'"
    " OR r.oid = (SELECT d.datdba FROM pg_database AS d WHERE d.datname = current_database())))"
)
"""Whether a role `r` of pg_roles, none for PUBLIC, could do with our rights what it likes anyway."""

WRITABLE = compose(
    """
EXISTS (SELECT FROM (SELECT n.nspowner AS grantee UNION ALL
                     SELECT x.grantee FROM aclexplode(n.nspacl) AS x WHERE x.privilege_type = 'CREATE') AS g
          LEFT JOIN pg_roles AS r ON r.oid = g.grantee WHERE NOT {trusted})
""",
    trusted=TRUSTED,
)
"""Whether somebody else may create objects in a schema `n` of pg_namespace."""

FIRING_PATH = """
{verb} set_config('migrator.firing_path', concat_ws(', ', 'pg_catalog', (
         SELECT string_agg(quote_ident(n.nspname), ', ' ORDER BY s.place)
           FROM unnest(current_setting('migrator.schemas')::name[]) WITH ORDINALITY AS s(name, place)
           JOIN pg_namespace AS n ON n.nspname = s.name
          WHERE n.nspname <> 'pg_catalog' AND NOT {writable}), 'pg_temp'), {local})
"""
"""The path under which the target's own triggers and functions run."""

SETTLED = "{verb} set_config('migrator.backend', pg_backend_pid()::text, {local})"
"""By which a transaction tells that it is in a session that was settled (jobs.engine.target.ledger.fence)."""

VALUES = {
    "row_security": "off",
    "timezone": "UTC",
    "timezone_abbreviations": "Default",
    "datestyle": "ISO, mdy",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "lc_time": "C",
    "standard_conforming_strings": "on",
    "backslash_quote": "safe_encoding",
    "array_nulls": "on",
    "xmloption": "content",
    "xmlbinary": "base64",
    "transform_null_equals": "off",
    "quote_all_identifiers": "off",
    "gin_fuzzy_search_limit": "0",
    "client_encoding": "UTF8",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
}
"""How texts become values and values texts, and how many rows a query returns."""


OURS = ("search_path", "migrator.schemas", "migrator.firing_path", "migrator.backend")
"""What `fixed` sets."""


def fixed(local: bool, verb: Literal["SELECT", "PERFORM"] = "SELECT") -> list[Sql]:
    """The statements that fix the path, whatever the path was.

    local: to the end of the transaction only; verb: PERFORM within a block of PL/pgSQL.
    """
    how = {
        "verb": verbatim("SELECT" if verb == "SELECT" else "PERFORM"),
        "local": verbatim("true") if local else verbatim("false"),
    }
    return [
        compose("SET {}search_path = DEFAULT", verbatim("LOCAL ") if local else NOTHING),
        compose(BOUND_SCHEMAS, **how),
        compose(
            "{verb} pg_catalog.set_config('search_path', '{fixed_path}', {local})",
            fixed_path=FIXED_PATH,
            **how,
        ),
        compose(FIRING_PATH, writable=WRITABLE, **how),
        compose(SETTLED, **how),
    ]
