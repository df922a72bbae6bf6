"""A schema in which a user of the database made operators that take the place of PostgreSQL's own, and raise."""

from __future__ import annotations

import psycopg

TRAPPED = "an operator of a user was called"

# For each operator of pg_catalog one of the same name and types: by a path that leads here first, it is the one.
_TRAPS = f"""
CREATE SCHEMA hostile;
DO $do$
DECLARE op record;
BEGIN
    FOR op IN SELECT o.oid::regoperator, oprname, format_type(nullif(oprleft, 0), NULL) AS l,
                     format_type(oprright, NULL) AS r, format_type(oprresult, NULL) AS result
                FROM pg_operator o WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprright <> 0
    LOOP
        BEGIN
            EXECUTE format(
                'CREATE FUNCTION hostile.%I(%s) RETURNS %s LANGUAGE plpgsql IMMUTABLE AS '
                '$f$ BEGIN RAISE EXCEPTION ''{TRAPPED}''; END $f$',
                'trap_' || md5(op.oid::text), concat_ws(', ', op.l, op.r), op.result);
            EXECUTE format('CREATE OPERATOR hostile.%s (FUNCTION = hostile.%I, %s RIGHTARG = %s)',
                op.oprname, 'trap_' || md5(op.oid::text), 'LEFTARG = ' || op.l || ',', op.r);
        EXCEPTION WHEN OTHERS THEN NULL;  -- some pseudo-types no function of a user may take
        END;
    END LOOP;
END $do$;
"""
PATH = "hostile, pg_catalog, public"


def set_traps(connection: psycopg.Connection) -> int:
    """Make the schema; how many operators are in it."""
    connection.execute(_TRAPS)
    row = connection.execute(
        "SELECT count(*) FROM pg_operator WHERE oprnamespace = 'hostile'::regnamespace"
    ).fetchone()
    assert row is not None
    return int(row[0])
