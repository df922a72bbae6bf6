"""The shadow column beside the one that is widened, kept in step by a trigger."""

from __future__ import annotations

from mappings.plan.schema_steps import Heaviness, Step
from mappings.schema.kinds.kind import Look
from mappings.schema.kinds.preparing import Preparing
from mappings.schema.lock_cost import EVERYBODY
from mappings.schema.safe_change import Change, trigger
from mappings.sql import compose, ident, literal


class ShadowColumn(Preparing):
    """ADD COLUMN, and the trigger that writes every new value to it."""

    name = "shadow_column"
    gives = "shadow"

    def unregistered(self) -> Look:
        return Look(against="it is there already, but not by a script of this register")


def add_shadow(change: Change) -> Step:
    """The shadow, and the trigger that writes every new value to it, whoever writes: replication and COPY too."""
    table, shadow = change.target.sql, ident(change.shadow.name)
    body = compose("BEGIN NEW.{} := NEW.{}; RETURN NEW; END", shadow, ident(change.column.name))
    function, name = compose("migrator.{}()", shadow), ident(trigger(change.shadow.name))
    sql = (
        compose("ALTER TABLE {} ADD COLUMN {} {}", table, shadow, change.plain.after),
        compose(
            "CREATE OR REPLACE FUNCTION {function} RETURNS trigger LANGUAGE plpgsql"
            " SET search_path = pg_catalog, pg_temp AS {body}",
            function=function,
            body=literal(body),
        ),
        compose(
            "CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}",
            name=name,
            table=table,
            function=function,
        ),
        compose("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}", table, name),
    )
    undo = (
        compose("DROP TRIGGER IF EXISTS {} ON {}", name, table),
        compose("DROP FUNCTION IF EXISTS {}", function),
        compose("ALTER TABLE {} DROP COLUMN IF EXISTS {}", table, shadow),
    )
    does = "add a column beside it, kept in step by a trigger"
    return ShadowColumn().step(
        change, does, sql, undo, weight="catalog only", heaviness=Heaviness(waits=EVERYBODY)
    )
