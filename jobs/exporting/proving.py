"""Pieces of scripts that take back: they stop where what tells of the run is lost, or where rows of it are left."""

from __future__ import annotations

from jobs.engine.sql import remains
from jobs.engine.sql.key_sql import MAP, Range, of_table
from jobs.engine.target.witnesses import is_owners
from jobs.exporting.blocks import RUN, column_at, stop
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import ident, literal

LOST = "put it back as it was, or take the rows away by hand"


def unknown(plan: Plan, table: TablePlan) -> str:
    """Where no run is known here: stops if rows carry a source id that no other run of the mapping can have brought."""
    if not table.link.source_id or is_owners(table):
        return ""
    first = table.link.source_id[0]
    others = (
        f"SELECT FROM migrator.run AS r WHERE r.mapping = {literal(plan.mapping)} AND r.rolled_back_at IS NULL"
        " AND EXISTS (SELECT FROM migrator.ledger AS l WHERE l.run = r.number)"
    )
    carrying = f"SELECT count(*) FROM {table.into.target_sql} AS t WHERE t.{ident(first)} IS NOT NULL"
    return (
        f"IF {column_at(table.into.target_sql, first)} AND NOT EXISTS ({others}) THEN\n"
        f"EXECUTE {literal(carrying)} INTO migrator_count;\n"
        "IF migrator_count > 0 THEN\n"
        "RAISE EXCEPTION '%: % rows carry a source id, and schema migrator knows no run that brought them; %', "
        f"{literal(table.name)}, migrator_count, {literal(LOST)};\nEND IF;\nEND IF;\n"
    )


def before(plan: Plan, table: TablePlan, forced: str) -> str:
    """Stops where the map, the before-images or the source ids do not tell any more what the run did."""
    body = _map_lacks(plan, table, forced) if table.link.keep_map else ""
    if table.into.existing and table.into.existing.then == "update":
        text = (
            "source rows updated a row of which no before-image is there, so its old values cannot come back"
        )
        body += _none_of(table, remains.without_image(plan, table, RUN), text, forced)
    if table.link.keep_map and table.link.source_id and table.into.target_key:
        body += _none_of(table, remains.displaced(plan, table, RUN, Range()), remains.DISPLACED, forced)
    return body


def _map_lacks(plan: Plan, table: TablePlan, forced: str) -> str:
    """Rows whose target rows were gone may have been brought again by other runs, at most as many as these have."""
    mapped = f"SELECT count(*) FROM {MAP} AS m WHERE {of_table(plan, table.name)}"
    return (
        "SELECT coalesce(sum(l.inserted + l.updated + l.kept), 0)\n"
        f"     - ({mapped}) INTO migrator_count FROM migrator.ledger AS l\n"
        f" WHERE l.run = {RUN} AND l.table_name = {literal(table.name)} AND l.phase = 'copy';\n"
        "IF migrator_count > 0 THEN\n"
        "RAISE EXCEPTION '%: the map lacks % of the source rows that the run dealt with', "
        f"{literal(table.name)}, migrator_count USING HINT = {literal(forced)};\nEND IF;\n"
    )


def _none_of(table: TablePlan, statement: str, text: str, forced: str) -> str:
    return (
        f"{statement}\n  INTO migrator_count, migrator_keys;\nIF migrator_count > 0 THEN\n"
        f"RAISE EXCEPTION '%: % %, for example %', {literal(table.name)}, migrator_count, {literal(text)},"
        f" migrator_keys USING HINT = {literal(forced)};\nEND IF;\n"
    )


def after(plan: Plan, table: TablePlan) -> str:
    """Stops where old values were not put back, or rows are still as the run wrote them; nothing is forgotten then."""
    images = (
        f"SELECT FROM migrator.before_image AS b WHERE b.run = {RUN} AND b.table_name = {literal(table.name)}"
    )
    phases = remains.WROTE if table.link.keep_map else ("copy",)
    wrote = f"SELECT w.writer::xid FROM ({remains.writers(RUN, phases)}) AS w"
    rows = remains.written_by(plan, table, wrote)
    return (
        f"IF EXISTS ({images}) THEN\n  {stop(f'{table.name}: old values of rows were not put back')}\nEND IF;\n"
        f"IF EXISTS ({rows}) THEN\n  {stop(f'{table.name}: rows are still as the run wrote them')}\nEND IF;\n"
    )
