"""Pieces of scripts that take back: they stop where what tells of the run is lost, or where rows of it are left, or
would be told of by nothing any more."""

from __future__ import annotations

from jobs.engine.sql import remains
from jobs.engine.sql.key_sql import MAP, of_table
from jobs.engine.sql.walks.chunk_range import Range
from jobs.engine.target.witnesses import FLAGGED, is_owners
from jobs.exporting.blocks import RUN, column_at, scripted, stop
from mappings.plan.model import Plan
from mappings.plan.schema_steps import Step
from mappings.plan.table_plan import TablePlan
from mappings.schema.kinds.add_column import AddColumn
from mappings.sql import NOTHING, Sql, compose, ident, joined, literal

LOST = "put it back as it was, or take the rows away by hand"


def unknown(plan: Plan, table: TablePlan) -> Sql:
    """Where no run is known here: stops if rows carry a source id that no other run of the mapping can have brought."""
    if not table.link.source_id or is_owners(table):
        return NOTHING
    first = table.link.source_id[0]
    others = compose(
        "SELECT FROM migrator.run AS r WHERE r.mapping = {mapping} AND r.rolled_back_at IS NULL"
        " AND EXISTS (SELECT FROM migrator.ledger AS l WHERE l.run = r.number)",
        mapping=literal(plan.mapping),
    )
    carrying = compose(
        "SELECT count(*) FROM {} AS t WHERE t.{} IS NOT NULL", table.into.target_sql, ident(first)
    )
    return compose(
        "IF {column_at} AND NOT EXISTS ({others}) THEN\n"
        "EXECUTE {carrying} INTO migrator_count;\n"
        "IF migrator_count > 0 THEN\n"
        "RAISE EXCEPTION '%: % rows carry a source id, and schema migrator knows no run that brought them; %', "
        "{name}, migrator_count, {lost};\nEND IF;\nEND IF;\n",
        column_at=column_at(table.into.target_sql, first), others=others, carrying=literal(carrying),
        name=literal(table.name), lost=literal(LOST),
    )  # fmt: skip


def before(plan: Plan, table: TablePlan, forced: str) -> Sql:
    """Stops where the map, the before-images or the source ids do not tell any more what the run did."""
    body = _map_lacks(plan, table, forced) if table.link.keep_map else NOTHING
    if table.into.existing and table.into.existing.then == "update":
        text = (
            "source rows updated a row of which no before-image is there, so its old values cannot come back"
        )
        body = joined("", [body, _none_of(table, remains.without_image(scripted(plan, table)), text, forced)])
    if table.link.keep_map and table.link.source_id and table.into.target_key:
        body = joined(
            "",
            [
                body,
                _none_of(table, remains.displaced(scripted(plan, table), Range()), remains.DISPLACED, forced),
            ],
        )
    return body


def _map_lacks(plan: Plan, table: TablePlan, forced: str) -> Sql:
    """Rows whose target rows were gone may have been brought again by other runs, at most as many as these have."""
    mapped = compose("SELECT count(*) FROM {} AS m WHERE {}", MAP, of_table(plan, table.name))
    return compose(
        "SELECT coalesce(sum(l.inserted + l.updated + l.kept), 0)\n"
        "     - ({mapped}) INTO migrator_count FROM migrator.ledger AS l\n"
        " WHERE l.run = {run} AND l.table_name = {name} AND l.phase = 'copy';\n"
        "IF migrator_count > 0 THEN\n"
        "RAISE EXCEPTION '%: the map lacks % of the source rows that the run dealt with', "
        "{name}, migrator_count USING HINT = {forced};\nEND IF;\n",
        mapped=mapped, run=RUN, name=literal(table.name), forced=literal(forced),
    )  # fmt: skip


def _none_of(table: TablePlan, statement: Sql, text: str, forced: str) -> Sql:
    return compose(
        "{statement}\n  INTO migrator_count, migrator_keys;\nIF migrator_count > 0 THEN\n"
        "RAISE EXCEPTION '%: % %, for example %', {name}, migrator_count, {text},"
        " migrator_keys USING HINT = {forced};\nEND IF;\n",
        statement=statement, name=literal(table.name), text=literal(text), forced=literal(forced),
    )  # fmt: skip


def flagged(plan: Plan, table: TablePlan, forced: str) -> Sql:
    """Stops where rows have the flag that no run accounts for, and the column would go with the rollback."""
    sharing = [other for other in plan.moved if other.into.target_sql == table.into.target_sql]
    if sharing[0].name != table.name or not any(adds_flag(step, table) for step in plan.steps):
        return NOTHING
    there = [name for other in sharing for name in other.link.source_id]
    return compose(
        "IF {flag} AND NOT EXISTS (SELECT FROM migrator.ledger AS l WHERE l.run <> {run}) THEN\n{none}END IF;\n",
        flag=column_at(table.into.target_sql, table.link.is_migrated or ""), run=RUN,
        none=_none_of(table, remains.flagged(plan, table, there), f"rows of {table.target} {FLAGGED}", forced),
    )  # fmt: skip


def adds_flag(step: Step, table: TablePlan) -> bool:
    """Whether a schema step adds the column in which a table's rows are flagged."""
    return (step.kind, step.relation, step.name) == (
        AddColumn.name, table.into.target_sql, table.link.is_migrated,
    )  # fmt: skip


def flag_goes(plan: Plan, step: Step) -> Sql:
    """The same when the column is about to go, and all rows of runs are gone; nobody forces that."""
    for table in plan.moved:
        if adds_flag(step, table):
            text = f"rows of {table.target} {FLAGGED}"
            none = _none_of(table, remains.flagged(plan, table, ()), text, "Then execute this script again.")
            return compose("IF NOT EXISTS (SELECT FROM migrator.ledger) THEN\n{}END IF;\n", none)
    return NOTHING


def after(plan: Plan, table: TablePlan) -> Sql:
    """Stops where old values were not put back, or rows are still as the run wrote them; nothing is forgotten then."""
    images = compose(
        "SELECT FROM migrator.before_image AS b WHERE b.run = {run} AND b.table_name = {name}",
        run=RUN,
        name=literal(table.name),
    )
    phases = remains.WROTE if table.link.keep_map else ("copy",)
    wrote = compose("SELECT w.writer::xid FROM ({}) AS w", remains.writers(RUN, phases))
    rows = remains.written_by(plan, table, wrote)
    return compose(
        "IF EXISTS ({images}) THEN\n  {stop}\nEND IF;\nIF EXISTS ({rows}) THEN\n  {stop2}\nEND IF;\n",
        images=images, stop=stop(f"{table.name}: old values of rows were not put back"), rows=rows,
        stop2=stop(f"{table.name}: rows are still as the run wrote them"),
    )  # fmt: skip
