"""The shadow column beside the one that is widened, kept in step by a trigger."""

from __future__ import annotations

from mappings.plan.schema_steps import Heaviness, Step
from mappings.schema.kinds.kind import Look
from mappings.schema.kinds.preparing import Preparing
from mappings.schema.lock_cost import EVERYBODY
from mappings.schema.safe_change import Change, trigger
from mappings.sql import ident, literal


class ShadowColumn(Preparing):
    """ADD COLUMN, and the trigger that writes every new value to it."""

    name = "shadow_column"

    def unregistered(self) -> Look:
        return Look(against="it is there already, but not by a script of this register")


def add_shadow(change: Change) -> Step:
    """The shadow, and the trigger that writes every new value to it, whoever writes: replication and COPY too."""
    table, shadow = change.target.sql, ident(change.shadow.name)
    body = f"BEGIN NEW.{shadow} := NEW.{ident(change.column.name)}; RETURN NEW; END"
    function, name = f"migrator.{shadow}()", ident(trigger(change.shadow.name))
    sql = (
        f"ALTER TABLE {table} ADD COLUMN {shadow} {change.plain.after}",
        f"CREATE OR REPLACE FUNCTION {function} RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp"
        f" AS {literal(body)}",
        f"CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}",
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}",
    )
    undo = (
        f"DROP TRIGGER IF EXISTS {name} ON {table}",
        f"DROP FUNCTION IF EXISTS {function}",
        f"ALTER TABLE {table} DROP COLUMN IF EXISTS {shadow}",
    )
    does = "add a column beside it, kept in step by a trigger"
    return ShadowColumn().step(
        change, does, sql, undo, weight="catalog only", heaviness=Heaviness(waits=EVERYBODY)
    )
