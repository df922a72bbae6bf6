"""A plan as files of SQL that is run by hand; who took them is kept."""

from __future__ import annotations

from jobs.exporting import folders
from jobs.history.record import About, record
from jobs.transitions import User
from mappings.plan.model import Plan


def export(plan: Plan, form: str, actor: User) -> dict[str, bytes]:
    """The files by their paths. Refused where the plan has blockers."""
    files = folders.export(plan, form)
    about = About(plan.mapping, plan.revision, plan.sha256, plan.environment)
    record("mapping", "exported", f"As SQL to be run by hand: {form}.", about, actor=actor)
    return files
