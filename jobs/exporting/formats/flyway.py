"""Files for Flyway: versioned migrations, undo migrations beside them, and a .conf where one must stand alone."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.exporting.blocks import Statement, worded
from jobs.exporting.formats import psql
from jobs.exporting.formats.headers import closing, header, opening
from jobs.exporting.scripts import Script, slug
from mappings.plan.model import Plan
from mappings.sql import Sql

ALONE = "executeInTransaction=false\n"
LITERAL = "placeholderReplacement=false\n"


def files(plan: Plan, scripts: Sequence[Script]) -> dict[str, str]:
    """Path -> content. What needs psql, because it goes through files, is in a folder that Flyway does not read."""
    made: dict[str, str] = {}
    for script in scripts:
        if script.client:
            continue
        name = f"{plan.revision}.{script.number:04d}__{slug(plan.mapping)}_{script.slug}.sql"
        for path, back in ((f"V{name}", False), (f"undo/U{name}", True)):
            made[path] = text(plan, script, back=back)
            if conf := _conf(script, made[path]):
                made[f"{path}.conf"] = conf
    return made | by_psql(plan, scripts)


def by_psql(plan: Plan, scripts: Sequence[Script]) -> dict[str, str]:
    """What only psql can do, in three folders: before, after, and before an undo."""
    made: dict[str, str] = {}
    for folder, when in (("by_psql/1_before/", "before"), ("by_psql/2_after/", "after")):
        for script in scripts:
            if script.client == when and script.forward:
                made[f"{folder}{script.name}{psql.ending(plan, script)}"] = psql.text(plan, script)
    clients = [script for script in scripts if script.client]
    return made | psql.undo_files(plan, clients, "by_psql/3_before_undo/")


def text(plan: Plan, script: Script, *, back: bool) -> str:
    """One migration. Settings end with its transaction; where there is none, they are reset."""
    statements = script.backward if back else script.forward
    if not statements:
        return f"{header(plan, script, back=back)}\nSELECT 1; -- nothing to undo\n"
    return f"{header(plan, script, back=back)}\n" + "".join(
        f"{one};\n" for one in surrounded(script, statements)
    )


def surrounded(script: Script, statements: Sequence[Statement]) -> list[Sql]:
    """Statements between their settings."""
    local = not script.alone
    return [*opening(script, local=local), *map(worded, statements), *closing(script, local=local)]


def _conf(script: Script, content: str) -> str:
    return (ALONE if script.alone else "") + (LITERAL if "${" in content else "")
