"""Plain scripts for psql, one file a script; the way back in a folder of its own."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.exporting.blocks import Command, Statement, Unrepeatable, worded
from jobs.exporting.formats.headers import header, opening
from jobs.exporting.scripts import Script
from mappings.plan.model import Plan
from mappings.sql import compose, literal

PREAMBLE = "\\set ON_ERROR_STOP on\n\\encoding UTF8\nSET client_min_messages = 'warning';\n"


def files(plan: Plan, scripts: Sequence[Script]) -> dict[str, str]:
    """Path -> content. Files sort in the order in which they are run."""
    made = {
        f"{script.name}{ending(plan, script)}": text(plan, script) for script in scripts if script.forward
    }
    return made | undo_files(plan, scripts, "undo/")


def undo_files(plan: Plan, scripts: Sequence[Script], folder: str) -> dict[str, str]:
    """The ways back, numbered anew, because they are run the other way round."""
    back = [script for script in reversed(scripts) if script.backward]
    return {
        f"{folder}{place * 10:04d}_undo_{script.slug}{ending(plan, script)}": text(plan, script, back=True)
        for place, script in enumerate(back, start=1)
    }


def ending(plan: Plan, script: Script) -> str:
    """How a file's name ends: with the side that it runs in, where there are two."""
    return ".sql" if plan.same_database else f".{script.side}.sql"


def text(plan: Plan, script: Script, *, back: bool = False) -> str:
    """One file."""
    sets = "".join(f"{statement};\n" for statement in opening(script, local=False))
    statements = script.backward if back else script.forward
    return (
        f"{header(plan, script, back=back)}\n{PREAMBLE}{sets}\n"
        + "\n".join(_ended(_guarded(script, statement)) for statement in statements)
        + "\n"
    )


def _guarded(script: Script, statement: Statement) -> Statement:
    """Built by psql from the answer to a question, where it could not be executed again."""
    if not (script.guard and isinstance(statement, Unrepeatable)):
        return statement
    return Command(compose("SELECT {} WHERE {}\n\\gexec", literal(statement.sql), script.guard))


def _ended(statement: Statement) -> str:
    """With its semicolon, unless a command of psql ends it."""
    return statement.sql if isinstance(statement, Command) else f"{worded(statement)};"
