"""Pieces of scripts that give rows the values that depend on those that are taken."""

from __future__ import annotations

from jobs.engine.moving.assigning.assign import ASSIGN_LOCK
from jobs.engine.sql.assigning import free_texts, lookup, next_numbers, stage
from jobs.exporting.blocks import RUN, executed
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.sql import literal


def assign(plan: Plan, table: TablePlan, relation: str) -> str:
    """Values for all rows of a feed that have none."""
    text = f"PERFORM pg_advisory_xact_lock({ASSIGN_LOCK}, hashtext({literal(table.target)}));\n"
    text += f"PERFORM {stage.ROW_BY_ROW.format('off')};\n"
    for number, ref in table.assigning:
        first = [stage.clear(), stage.fill(plan, table, number, relation), f"ANALYZE {stage.STAGE}"]
        text += _in_turn([*first, *stage.of_rows_brought(plan, table, ref)])
        if stage.told_of(ref):
            one_round = executed(free_texts.next_round(plan, table, ref))
            text += _in_turn(free_texts.first(plan, table, ref))
            text += f"WHILE ({free_texts.rows_wait()}) LOOP\n{one_round}END LOOP;\n"
        else:
            text += executed(next_numbers.number(plan, table, ref))
        text += _in_turn([stage.follow(), *stage.keep(plan, ref, RUN)])
    return f"{text}PERFORM {stage.ROW_BY_ROW.format('on')};\n"


def assign_late(plan: Plan, table: TablePlan, fed: str, relation: str) -> str:
    """The same where a feed has rows that came after the others got theirs. relation: that feed, to assign by."""
    if not table.assigning:
        return ""
    late = [lookup.is_any_unassigned(plan, number, ref, fed) for number, ref in table.assigning]
    return f"IF {' OR '.join(late)} THEN\n{assign(plan, table, relation)}END IF;\n"


def _in_turn(statements: list[str]) -> str:
    return "".join(executed(statement) for statement in statements)
