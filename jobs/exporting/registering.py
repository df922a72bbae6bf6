"""The first scripts: the migrator schema, the run, and each schema step with its check and its undo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.engine.moving import bad_rows
from jobs.engine.moving import undo as undoing
from jobs.engine.schema import apply as schema
from jobs.engine.sql import superseded
from jobs.engine.sql.key_sql import MAP, of_table
from jobs.engine.target import ledger
from jobs.exporting import proving
from jobs.exporting.blocks import (
    RUN,
    RUN_DECLARED,
    Unrepeatable,
    block,
    bound,
    column_at,
    own_run,
    require_run,
    run_to_take_back,
    stop,
    texts,
)
from mappings.plan.model import Plan
from mappings.plan.schema_steps import Step
from mappings.schema import kinds, own_schema
from mappings.schema.kinds import Execution, indexes
from mappings.sql import ident, literal


def register(plan: Plan) -> tuple[str, ...]:
    """Makes the schema migrator where it is not there, and the run where it is not known or was rolled back."""
    index = ""
    if plan.overwrites:
        index = f"\nIF to_regclass('migrator.migration_map_target') IS NULL THEN\n{superseded.TARGET_INDEX};\nEND IF;"
    identity = ", ".join(literal(text) for text in (plan.mapping, plan.sha256, plan.environment))
    body = (
        f"PERFORM pg_advisory_xact_lock({ledger.INSTALL_LOCK});\n"
        f"IF NOT ({own_schema.UP_TO_DATE}) THEN{own_schema.SCHEMA.rstrip()}\nEND IF;{index}\n"
        f"IF NOT EXISTS (SELECT FROM migrator.run AS r WHERE {own_run(plan)}) THEN\n"
        "INSERT INTO migrator.run (number, mapping, sha256, environment, uid, epoch, revision, operator)\n"
        f"SELECT x.number, x.mapping, x.sha256, x.environment, {ledger.uid_by_hand('x')}, 1, {plan.revision},"
        " session_user\n"
        f"  FROM (SELECT coalesce(max(number), 0) + 1, {identity} FROM migrator.run)"
        " AS x(number, mapping, sha256, environment);\nEND IF;"
    )
    return (block(RUN_DECLARED, body),)


def _in_force(step: Step) -> str:
    return (
        f"s.side = {literal(step.side)} AND s.relation = {literal(step.relation)} AND s.kind = {literal(step.kind)}"
        f" AND s.name = {literal(step.name)} AND s.undone_at IS NULL"
    )


def _same(step: Step) -> str:
    return f"{_in_force(step)} AND s.sha256 = {literal(step.sha256)}"


def _done(step: Step) -> str:
    """Returns from the block where the register has the step; stops where it has another by that name."""
    text = (
        f"IF EXISTS (SELECT FROM migrator.schema_step AS s WHERE {_same(step)}) THEN\n"
        "  RAISE INFO 'applied before, nothing to do';\n  RETURN;\nEND IF;\n"
    )
    if kinds.of(step).repeats:  # a column may be widened again
        return text
    other = stop(f"{step.title}: the register has another script (sha256) for this step")
    return f"{text}IF EXISTS (SELECT FROM migrator.schema_step AS s WHERE {_in_force(step)}) THEN\n  {other}\nEND IF;\n"


def _remember(plan: Plan, step: Step) -> str:
    values = [f"{RUN}", literal(plan.mapping), literal(step.side), literal(step.kind), literal(step.relation)]
    values += [literal(step.name), literal(step.title), texts(step.sql), texts(step.undo)]
    values += ["true" if step.alone else "false", literal(step.fits), literal(step.sha256)]
    values += [literal(step.before), literal(step.after), str(step.views_first), str(step.views_last)]
    return f"{bound(schema.REGISTER, values)};"


def _statements(statements: tuple[str, ...]) -> str:
    return "".join(f"{statement};\n" for statement in statements)


def apply(plan: Plan, step: Step) -> tuple[str, ...]:
    """One step with its line in the register, in one transaction; in three where it must stand alone."""
    return kinds.of(step).carry_out(step, Script(plan))


@dataclass(frozen=True, slots=True)
class Script(Execution[tuple[str, ...]]):
    """Prints steps, each for whoever executes it, once or again."""

    plan: Plan

    def together(self, step: Step) -> tuple[str, ...]:
        return (self._block(step, _statements(step.sql)),)

    def concurrently(self, step: Step) -> tuple[str, ...]:
        alone: Sequence[str] = step.sql
        if step.index:
            alone = [step.index.build(concurrently=True, unless_there=True)]
        invalid = stop(f"{step.title}: the index is not valid; execute this script again")
        is_valid = f"IF NOT ({indexes.shows(step)}) THEN\n  {invalid}\nEND IF;\n"
        build = map(Unrepeatable, alone)
        return (block("migrator_broken text;", _drop_invalid(step)), *build, self._block(step, is_valid))

    def one_by_one(self, step: Step) -> tuple[str, ...]:
        return (*step.sql, self._block(step, ""))

    def until_done(self, step: Step) -> tuple[str, ...]:
        """A call that nobody limits returns when nothing is left."""
        return self.one_by_one(step)

    def _block(self, step: Step, body: str) -> str:
        whole = f"{require_run(self.plan)}\n{_done(step)}{body}{_remember(self.plan, step)}"
        return block(RUN_DECLARED, whole)


def guard(step: Step) -> str:
    """When a step can be carried out at all: over a shadow column not any more once that was swapped in."""
    return column_at(step.relation, step.shadow.name) if step.shadow and kinds.of(step).only_beside else ""


def _drop_invalid(step: Step) -> str:
    """What a killed build left guards nothing, and would be taken for the index."""
    return (
        "SELECT i.indexrelid::regclass::text INTO migrator_broken FROM pg_index i"
        " JOIN pg_class c ON c.oid = i.indexrelid\n"
        f" WHERE i.indrelid = {literal(step.relation)}::regclass AND c.relname = {literal(step.name)}"
        " AND NOT i.indisvalid;\n"
        "IF migrator_broken IS NOT NULL THEN\n  EXECUTE 'DROP INDEX ' || migrator_broken;\nEND IF;"
    )


def undo(plan: Plan, step: Step) -> tuple[str, ...]:
    """One step back, once no run of the mapping is left that did anything."""
    kept = "RAISE INFO 'rows that are not this mapping''s need it, so it is kept';\n  RETURN;"
    fits = f"IF NOT ({step.fits}) THEN\n  {kept}\nEND IF;\n" if step.fits else ""
    body = f"{_may_be_undone(plan, step)}{fits}{_statements(step.undo)}{_forget(step)}"
    return (block(RUN_DECLARED, body),)


def _may_be_undone(plan: Plan, step: Step) -> str:
    stopped = stop("the rows of this run are still there: execute the scripts before this one first")
    others = (
        f"SELECT FROM migrator.run AS r WHERE r.mapping = {literal(plan.mapping)} AND r.rolled_back_at IS NULL"
        " AND EXISTS (SELECT FROM migrator.ledger AS l WHERE l.run = r.number)"
    )
    return (
        f"IF NOT EXISTS (SELECT FROM migrator.schema_step AS s WHERE {_same(step)}) THEN\n"
        "  RAISE INFO 'not applied, nothing to undo';\n  RETURN;\nEND IF;\n"
        f"{run_to_take_back(plan)}\n"
        "IF EXISTS (SELECT FROM migrator.ledger AS l WHERE l.run = migrator_run) THEN\n"
        f"  {stopped}\nEND IF;\n"
        f"IF EXISTS ({others}) THEN\n"
        "  RAISE INFO 'another run of the mapping needs this, so it is kept';\n  RETURN;\nEND IF;\n"
    )


def _forget(step: Step) -> str:
    return f"UPDATE migrator.schema_step AS s SET undone_at = now() WHERE {_same(step)};"


def apply_at_source(step: Step) -> tuple[str, ...]:
    """A step in the source database, which has no register: done where the column is not there."""
    return (
        block(
            RUN_DECLARED, f"IF NOT {column_at(step.relation, step.name)} THEN\n{_statements(step.sql)}END IF;"
        ),
    )


def undo_at_source(step: Step) -> tuple[str, ...]:
    """The same back, unless the column holds something: other runs' rows then still need it."""
    holds = f"EXISTS (SELECT FROM {step.relation} AS x WHERE x.{ident(step.name)} IS NOT NULL)"
    body = (
        f"IF {column_at(step.relation, step.name)} THEN\nIF {holds} THEN\n"
        "  RAISE INFO 'other rows are in it, so the column is kept';\n  RETURN;\nEND IF;\n"
        f"{_statements(step.undo)}END IF;"
    )
    return (block(RUN_DECLARED, body),)


def remember(plan: Plan, step: Step) -> tuple[str, ...]:
    """The line in the register of a step that was applied to the source database."""
    return (block(RUN_DECLARED, f"{require_run(plan)}\n{_done(step)}{_remember(plan, step)}"),)


def forget_step(plan: Plan, step: Step) -> tuple[str, ...]:
    """The step is no longer in force."""
    return (block(RUN_DECLARED, f"{_may_be_undone(plan, step)}{_forget(step)}"),)


def check_schema(plan: Plan) -> tuple[str, ...]:
    """Stops unless every step is in the register with its sha256, and shows in the target's catalog."""
    checks = [f"{require_run(plan)}"]
    for step in plan.steps:
        conditions = [f"EXISTS (SELECT FROM migrator.schema_step AS s WHERE {_same(step)})"]
        conditions += [kinds.of(step).shows(step)] if step.side == "target" else []
        missing = stop(f"{step.title}: not in force")
        checks.append(f"IF NOT ({' AND '.join(conditions)}) THEN\n  {missing}\nEND IF;")
    return (block(RUN_DECLARED, "\n".join(checks)),)


def forget_run(plan: Plan) -> tuple[str, ...]:
    """The end of a rollback: nothing claims any more that the run migrated something."""
    left = " OR ".join(
        f"EXISTS (SELECT FROM {MAP} AS m WHERE {of_table(plan, table.name)} AND m.run = migrator_run)"
        for table in plan.tables
    )
    names = ", ".join(literal(table.name) for table in plan.moved)
    left += (
        f" OR EXISTS (SELECT FROM migrator.ledger AS l WHERE l.run = migrator_run AND l.phase = 'copy'"
        f" AND l.inserted > 0 AND l.table_name <> ALL (ARRAY[{names}]::text[]))"
    )
    statements = [superseded.release(plan, RUN), bound(bad_rows.TAKE_BACK, [f"{RUN}"])]
    statements += [bound(statement, [f"{RUN}"]) for statement in undoing.forgetting(plan)]
    proved = "".join(proving.after(plan, table) for table in plan.moved)
    stopped = stop("rows of this run are still there: execute the scripts before this one first")
    body = (
        f"{run_to_take_back(plan)}\n"
        "IF migrator_run IS NULL THEN\n  RAISE INFO 'nothing to roll back';\n  RETURN;\nEND IF;\n"
        f"IF {left} THEN\n  {stopped}\nEND IF;\n{proved}{_statements(tuple(statements))}"
    )
    return (block(RUN_DECLARED, body),)
