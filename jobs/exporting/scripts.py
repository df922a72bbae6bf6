"""The numbered scripts of a plan, in the order in which a person runs them, each with its way back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from jobs.engine.moving import link
from jobs.exporting import checking, moving, registering, taking_back, transfers
from jobs.exporting.blocks import Statement
from mappings.catalog.fingerprints import Side
from mappings.plan.model import Plan
from mappings.plan.schema_steps import Step
from mappings.plan.table_plan import TablePlan
from mappings.sql import NOTHING, Sql

Client = Literal["", "before", "after"]


@dataclass(frozen=True, slots=True)
class Script:
    """One script: what it does and undoes, and where.

    forward, backward: statements in order; empty: nothing to do. alone: they commit on their own, so no transaction
    may be around them. client: psql has to run them, before or after all others; '' for what any client can run.
    guard: a condition under which alone a statement outside of blocks can still be executed; only psql can ask it.
    """

    number: int
    slug: str
    title: str
    side: Side
    forward: tuple[Statement, ...]
    backward: tuple[Statement, ...] = ()
    alone: bool = False
    client: Client = ""
    guard: Sql = NOTHING

    @property
    def name(self) -> str:
        """What its file is called, without what a format adds: files sort by it as they are run."""
        return f"{self.number:04d}_{self.slug}"


def scripts(plan: Plan, chunk_rows: int = moving.CHUNK_ROWS) -> tuple[Script, ...]:
    """All scripts of a plan. Backward, they are run in the reverse order. The same plan gives the same scripts."""
    made = enumerate(_in_order(plan, chunk_rows), start=1)
    return tuple(replace(script, number=10 * place) for place, script in made)


def _made(
    slug: str,
    title: str,
    forward: tuple[Statement, ...],
    backward: tuple[Statement, ...] = (),
    *,
    side: Side = "target",
    alone: bool = False,
    client: Client = "",
) -> Script:
    return Script(0, slug, title, side, forward, backward, alone, client)


def _in_order(plan: Plan, rows: int) -> Iterator[Script]:
    yield _made("register", "Make the schema migrator and register the run", registering.register(plan))
    for step in plan.steps:
        yield from _step(plan, step)
    yield _made(
        "check_schema", "Check the schema steps", registering.check_schema(plan), registering.forget_run(plan)
    )
    for table in plan.moved:
        yield from _copy(plan, table, rows)
    for table in plan.moved:
        if link.needs_links(table):
            yield from _link(plan, table, rows)
    if forward := moving.sequences(plan):
        yield _made("sequences", "Put sequences past the values that came", forward)
    for table in plan.moved:
        title = f"Compare {table.name} with its source"
        forward, backward = checking.verify(plan, table), checking.blockers(plan, table)
        yield _made(f"verify_{slug(table.name)}", title, forward, backward)
    if not plan.same_database:
        yield _made("clean_up", "Drop what was read from files", transfers.drop_feeds(plan), client="after")


def _step(plan: Plan, step: Step) -> Iterator[Script]:
    name = f"{slug(step.kind)}_{slug(step.name)}"
    if step.side == "target" or plan.same_database:
        forward, backward = registering.apply(plan, step), registering.undo(plan, step)
        made = _made(f"schema_{name}", step.title, forward, backward, alone=step.alone)
        yield replace(made, guard=registering.guard(step))
        return
    forward, backward = registering.apply_at_source(step), registering.undo_at_source(step)
    yield _made(f"schema_{name}", step.title, forward, backward, side="source", client="before")
    forward, backward = registering.remember(plan, step), registering.forget_step(plan, step)
    yield _made(f"schema_register_{name}", f"Register: {step.title}", forward, backward)


def _copy(plan: Plan, table: TablePlan, rows: int) -> Iterator[Script]:
    name = slug(table.name)
    if not plan.same_database:
        file = f"{name}_{_number(plan, table)}.copy"
        title = f"Write the rows of {table.source} into {file}"
        yield _made(f"write_{name}", title, transfers.write_feed(table, file), side="source", client="before")
        title = f"Read {file}"
        yield _made(f"read_{name}", title, transfers.read_feed(plan, table, file), client="before")
    title = f"Copy {table.name}: {table.source} to {table.target}"
    forward, backward = moving.copy_table(plan, table, rows), taking_back.remove(plan, table, rows)
    yield _made(f"copy_{name}", title, forward, backward, alone=True)


def _link(plan: Plan, table: TablePlan, rows: int) -> Iterator[Script]:
    name = slug(table.name)
    title = f"Link the rows of {table.name}"
    forward, backward = moving.link(plan, table, rows), taking_back.unlink(plan, table)
    yield _made(f"link_{name}", title, forward, backward, alone=True)
    if not table.link.backref or plan.same_database:
        return
    ids, keys = (f"{name}_{_number(plan, table)}_{what}.copy" for what in ("ids", "keys"))
    yield _made(
        f"write_ids_{name}",
        f"Write the target's ids into {ids}",
        transfers.write_ids(plan, table, ids),
        client="after",
    )
    title = f"Fill {table.source}.{table.link.backref}"
    yield _made(f"read_ids_{name}", title, transfers.read_ids(table, ids), side="source", client="after")
    title = f"Compare {table.source}.{table.link.backref} with the target's ids"
    yield _made(f"check_ids_{name}", title, transfers.check_ids(table, ids), side="source", client="after")
    title = f"Empty {table.source}.{table.link.backref}"
    yield _made(
        f"clear_ids_{name}", title, (), transfers.clear_ids(table, keys), side="source", client="after"
    )
    title = f"Write the keys of the run's rows into {keys}"
    yield _made(f"write_keys_{name}", title, (), transfers.write_keys(plan, table, keys), client="after")


def _number(plan: Plan, table: TablePlan) -> int:
    """Tells apart tables whose names differ only in what a file's name cannot hold."""
    return plan.tables.index(table) + 1


def slug(name: str) -> str:
    """A name for files: small letters, digits and underscores."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:40] or "table"
