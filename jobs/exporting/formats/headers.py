"""What stands at the top of every exported file, and the settings under which it runs."""

from __future__ import annotations

from jobs.exporting.scripts import Script
from mappings.connections import state
from mappings.plan.model import Plan
from mappings.sql import Sql, comment, compose, dollar_quoted, joined, literal, setting, verbatim

SETTINGS = {
    **{name: literal(value) for name, value in state.VALUES.items() if name != "client_encoding"},
    "plan_cache_mode": verbatim("'force_custom_plan'"),
    "idle_in_transaction_session_timeout": verbatim("'10min'"),
}
"""What a worker's session has as well; each chunk is planned for its own range. The encoding is the client's."""

SHORT = {"lock_timeout": verbatim("'2s'"), "statement_timeout": verbatim("'1h'")}
LONG = {"lock_timeout": verbatim("'10s'"), "statement_timeout": verbatim("'12h'")}
"""A schema step must not make others queue behind it; a copy is one statement from its first chunk to its last."""


def settings(script: Script) -> dict[str, Sql]:
    """Names and values, as SQL writes them."""
    return {**SETTINGS, **(LONG if script.alone or script.client else SHORT)}


def opening(script: Script, *, local: bool) -> list[Sql]:
    """The statement under whose settings a script runs; local: to the end of its transaction only.

    One statement, so that where one of them holds all do (blocks.SETTLED).
    """
    word = verbatim("LOCAL " if local else "")
    silenced = verbatim("current_setting('session_replication_role') <> 'origin'")
    fire = compose(
        "IF {silenced} THEN\n  SET {word}session_replication_role = origin;\nEND IF",
        silenced=silenced,
        word=word,
    )
    scope = verbatim("true" if local else "false")
    fixed = [compose(BEFORE, scope), *state.fixed(local, "PERFORM"), fire]
    fixed += [
        compose("PERFORM set_config({}, {}, {})", literal(name), value, scope)
        for name, value in settings(script).items()
    ]
    block = joined(
        "",
        [
            verbatim("BEGIN\n"),
            *(compose("{};\n", statement) for statement in fixed),
            verbatim("END"),
        ],
    )
    return [compose("DO {}", dollar_quoted(block))]


def closing(script: Script, *, local: bool) -> list[Sql]:
    """What brings back the path, for what a tool does next in the transaction, and the rest where its end does not."""
    back = compose(AS_BEFORE, verbatim("true" if local else "false"))
    if local:
        return [back]
    ours = [name for name in state.OURS if name != "search_path"]
    return [back, *(compose("RESET {}", setting(name)) for name in (*settings(script), *ours))]


BEFORE = (
    "PERFORM pg_catalog.set_config('migrator.path_before', pg_catalog.current_setting('search_path'), {})"
)
AS_BEFORE = (
    "SELECT pg_catalog.set_config('search_path', pg_catalog.current_setting('migrator.path_before'), {})"
)


def header(plan: Plan, script: Script, mark: str = "--", *, back: bool = False) -> Sql:
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
    return joined("", (compose("{}\n", comment(line, mark)) for line in lines))
