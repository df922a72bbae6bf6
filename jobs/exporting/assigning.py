"""Pieces of scripts that give rows the values that depend on those that are taken."""

from __future__ import annotations

from jobs.engine.moving.assigning.assign import ASSIGN_LOCK
from jobs.engine.sql.assigning import free_texts, next_numbers, stage
from jobs.engine.sql.references import lookup
from jobs.exporting.blocks import RUN, executed, in_turn
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import NOTHING, Sql, compose, joined, literal


def assign(plan: Plan, table: TablePlan, relation: Sql) -> Sql:
    """Values for all rows of a feed that have none."""
    lock = compose("pg_advisory_xact_lock({}, hashtext({}))", ASSIGN_LOCK, literal(table.target))
    parts = [compose("PERFORM {};\n", one) for one in (lock, stage.NOT_ROW_BY_ROW)]
    for number, ref in table.assigning:
        analyze = compose("ANALYZE {}", stage.STAGE)
        first = [stage.clear(), stage.fill(plan, table, number, relation), analyze]
        parts.append(in_turn(first, stage.of_rows_brought(plan, table, ref)))
        if stage.told_of(ref):
            one_round = executed(free_texts.next_round(plan, table, ref))
            parts.append(in_turn(free_texts.first(plan, table, ref)))
            parts.append(compose("WHILE ({}) LOOP\n{}END LOOP;\n", free_texts.rows_wait(), one_round))
        else:
            parts.append(executed(next_numbers.number(plan, table, ref)))
        parts.append(in_turn(stage.follow(table), stage.keep(plan, ref, RUN)))
    return joined("", [*parts, compose("PERFORM {};\n", stage.ROW_BY_ROW)])


def assign_late(plan: Plan, table: TablePlan, fed: Sql, relation: Sql) -> Sql:
    """The same where a feed has rows that came after the others got theirs. relation: that feed, to assign by."""
    if not table.assigning:
        return NOTHING
    late = [lookup.is_any_unassigned(plan, number, ref, fed) for number, ref in table.assigning]
    return compose("IF {} THEN\n{}END IF;\n", joined(" OR ", late), assign(plan, table, relation))
