"""What stands at the top of every exported file, and the settings under which it runs."""

from __future__ import annotations

from jobs.exporting.scripts import Script
from mappings.plan.model import Plan

SETTINGS = {
    "timezone": "'UTC'",
    "datestyle": "'ISO, mdy'",
    "intervalstyle": "'postgres'",
    "extra_float_digits": "1",
    "bytea_output": "'hex'",
    "lc_monetary": "'C'",
    "plan_cache_mode": "'force_custom_plan'",
    "idle_in_transaction_session_timeout": "'10min'",
}
"""Texts of values must not depend on who connects; each chunk is planned for its own range."""

SHORT = {"lock_timeout": "'2s'", "statement_timeout": "'1h'"}
LONG = {"lock_timeout": "'10s'", "statement_timeout": "'12h'"}
"""A schema step must not make others queue behind it; a copy is one statement from its first chunk to its last."""


def settings(script: Script) -> dict[str, str]:
    """Names and values, as SQL writes them."""
    return {**SETTINGS, **(LONG if script.alone or script.client else SHORT)}


def header(plan: Plan, script: Script, comment: str = "--", *, back: bool = False) -> str:
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
    return "\n".join(f"{comment} {line}" for line in lines) + "\n"


def shown(text: str) -> str:
    """A text on one line."""
    return " ".join(text.split())
