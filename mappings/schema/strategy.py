"""Which way a column is widened: by one ALTER, or, where that would rewrite a table in use, the safe way."""

from __future__ import annotations

from dataclasses import dataclass, replace

import psycopg

from mappings.catalog import column_dependents, tables
from mappings.catalog.views import Views
from mappings.plan.schema_steps import Step
from mappings.problems import Problem
from mappings.schema import safe_way
from mappings.schema.safe_change import Change, costs, reasons, shadow_name

POSSIBLE, NOT_POSSIBLE = "possible, with --safe-widening or the box beside Start", "not possible"


@dataclass(frozen=True, slots=True)
class Way:
    """The steps of one widening, with what stands against them and what to know."""

    steps: tuple[Step, ...]
    blockers: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def of(
    conn: psycopg.Connection,
    target: tables.Table,
    column: tables.Column,
    plain: Step,
    over: Views,
    safe: bool,
) -> Way:
    """plain: the one ALTER; over: the views that it takes off; safe: whether the safe way is wanted."""
    path = f"{target.display}.{column.name}"
    begun = target.column(shadow_name(target, column.name, plain.after)) is not None
    is_empty = not target.has_rows and target.kind == "r"
    if not begun and (plain.weight != "full rewrite" or is_empty):
        return Way((plain,))
    change = Change(target, column, plain, column_dependents.read(conn, target, column.name), over)
    against = "; ".join(reasons(change))
    if safe and not against:
        text = f"the column is widened the safe way: {costs(change)}"
        return Way(tuple(safe_way.steps(change)), warnings=(Problem(path, text),))
    words = f"{NOT_POSSIBLE}: {against}" if against else f"{POSSIBLE}: {costs(change)}"
    plain = replace(plain, way_around=words, no_way_around=bool(against))
    if begun:
        way = f"now {against}" if against else "plan with --safe-widening"
        text = f"a run began to widen the column the safe way, and did not end: {way}, or roll that run back"
        return Way((plain,), blockers=(Problem(path, text),))
    warned = (Problem(path, f"the column cannot be widened the safe way: {against}"),) if safe else ()
    return Way((plain,), warnings=warned)


def offers(step: Step) -> bool:
    """Whether a step is, or could be, done the safe way."""
    return bool(step.way_around) and not step.no_way_around
