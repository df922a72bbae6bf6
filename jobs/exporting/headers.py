"""What stands at the top of every exported file, and the settings under which it runs."""

from __future__ import annotations

from jobs.exporting.scripts import Script
from mappings.connections import state
from mappings.plan.model import Plan
from mappings.sql import comment, dollar_quoted, literal

SETTINGS = {
    **{name: literal(value) for name, value in state.VALUES.items() if name != "client_encoding"},
    "plan_cache_mode": "'force_custom_plan'",
    "idle_in_transaction_session_timeout": "'10min'",
}
"""What a worker's session has as well; each chunk is planned for its own range. The encoding is the client's."""

SHORT = {"lock_timeout": "'2s'", "statement_timeout": "'1h'"}
LONG = {"lock_timeout": "'10s'", "statement_timeout": "'12h'"}
"""A schema step must not make others queue behind it; a copy is one statement from its first chunk to its last."""


def settings(script: Script) -> dict[str, str]:
    """Names and values, as SQL writes them."""
    return {**SETTINGS, **(LONG if script.alone or script.client else SHORT)}


def opening(script: Script, *, local: bool) -> list[str]:
    """The statement under whose settings a script runs; local: to the end of its transaction only.

    One statement, so that where one of them holds all do (blocks.SETTLED).
    """
    word = "LOCAL " if local else ""
    silenced = "current_setting('session_replication_role') <> 'origin'"
    fire = f"IF {silenced} THEN\n  SET {word}session_replication_role = origin;\nEND IF"
    scope = "true" if local else "false"
    fixed = [BEFORE.format(scope), *state.fixed(local, "PERFORM"), fire]
    fixed += [
        f"PERFORM set_config({literal(name)}, {value}, {scope})" for name, value in settings(script).items()
    ]
    block = "BEGIN\n" + "".join(f"{statement};\n" for statement in fixed) + "END"
    return [f"DO {dollar_quoted(block)}"]


def closing(script: Script, *, local: bool) -> list[str]:
    """What brings back the path, for what a tool does next in the transaction, and the rest where its end does not."""
    back = AS_BEFORE.format("true" if local else "false")
    ours = [name for name in state.OURS if name != "search_path"]
    return [back, *(() if local else (f"RESET {name}" for name in (*settings(script), *ours)))]


BEFORE = (
    "PERFORM pg_catalog.set_config('migrator.path_before', pg_catalog.current_setting('search_path'), {})"
)
AS_BEFORE = (
    "SELECT pg_catalog.set_config('search_path', pg_catalog.current_setting('migrator.path_before'), {})"
)


def header(plan: Plan, script: Script, mark: str = "--", *, back: bool = False) -> str:
    """Comment lines: what it is, of which revision, and where it runs."""
    where = f"the {script.side} database"
    if plan.same_database:
        where = "the one database that is source and target"
    lines = [
        f"{script.name}: {'undo: ' if back else ''}{script.title}",
        f"Mapping {plan.mapping}, revision {plan.revision}, sha256 {plan.sha256}, environment {plan.environment}",
        f"Runs in {where}. Executed again it changes nothing.",
        "A row that does not fit, or whose parent was not migrated, stops the script with the database's message;",
        "what was committed before it stays, and the script goes on from there. Only a worker can quarantine rows.",
    ]
    if script.alone:
        lines.append(
            "It commits chunk by chunk (or builds an index concurrently): no transaction may be around it."
        )
    return "".join(f"{comment(line, mark)}\n" for line in lines)
