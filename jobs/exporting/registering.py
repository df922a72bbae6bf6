"""The first scripts: the migrator schema, the run, and each schema step with its check and its undo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.engine.moving import bad_rows
from jobs.engine.moving import undo as undoing
from jobs.engine.schema import apply as schema
from jobs.engine.sql import key_sql
from jobs.engine.sql.key_sql import MAP, of_table
from jobs.engine.sql.merging import superseded
from jobs.engine.target import ledger
from jobs.exporting import proving
from jobs.exporting.blocks import (
    COUNT_DECLARED,
    RUN,
    RUN_DECLARED,
    Statement,
    Unrepeatable,
    block,
    column_at,
    own_run,
    require_run,
    run_to_take_back,
    stop,
)
from mappings.plan.model import Plan
from mappings.plan.schema_steps import Step
from mappings.schema import kinds, own_schema
from mappings.schema.kinds import Execution, indexes
from mappings.sql import NOTHING, Sql, bound, compose, ident, joined, literal, verbatim

INSTALLED = compose("IF NOT ({}) THEN{}\nEND IF;\n", own_schema.UP_TO_DATE, own_schema.SCHEMA)
"""Makes the schema migrator, or what an older version did not make of it."""


def register(plan: Plan) -> tuple[Statement, ...]:
    """Makes the schema migrator where it is not there, and the run where it is not known or was rolled back."""
    index = NOTHING
    if plan.overwrites:
        index = compose(
            "IF to_regclass('migrator.migration_map_target') IS NULL THEN\n{target_index};\nEND IF;\n",
            target_index=superseded.TARGET_INDEX,
        )
    identity = joined(", ", (literal(text) for text in (plan.mapping, plan.sha256, plan.environment)))
    body = compose(
        "PERFORM pg_advisory_xact_lock({install_lock});\n"
        "{installed}{index}"
        "IF NOT EXISTS (SELECT FROM migrator.run AS r WHERE {own_run}) THEN\n"
        "INSERT INTO migrator.run (number, mapping, sha256, environment, uid, epoch, revision, operator)\n"
        "SELECT x.number, x.mapping, x.sha256, x.environment, {uid_by_hand}, 1, {revision},"
        " session_user\n"
        "  FROM (SELECT coalesce(max(number), 0) + 1, {identity} FROM migrator.run)"
        " AS x(number, mapping, sha256, environment);\nEND IF;",
        install_lock=ledger.INSTALL_LOCK, installed=INSTALLED, index=index, own_run=own_run(plan),
        uid_by_hand=ledger.uid_by_hand(verbatim("x")), revision=plan.revision, identity=identity,
    )  # fmt: skip
    return (block(RUN_DECLARED, body),)


def _in_force(step: Step) -> Sql:
    return compose(
        "s.side = {side} AND s.relation = {relation} AND s.kind = {kind}"
        " AND s.name = {name} AND s.undone_at IS NULL",
        side=literal(step.side), relation=literal(step.relation), kind=literal(step.kind),
        name=literal(step.name),
    )  # fmt: skip


def _same(step: Step) -> Sql:
    return compose("{} AND s.sha256 = {}", _in_force(step), literal(step.sha256))


def _done(step: Step) -> Sql:
    """Returns from the block where the register has the step; stops where it has another by that name."""
    text = compose(
        "IF EXISTS (SELECT FROM migrator.schema_step AS s WHERE {same}) THEN\n"
        "  RAISE INFO 'applied before, nothing to do';\n  RETURN;\nEND IF;\n",
        same=_same(step),
    )
    if kinds.of(step).repeats:  # a column may be widened again
        return text
    other = stop(f"{step.title}: the register has another script (sha256) for this step")
    return compose(
        "{text}IF EXISTS (SELECT FROM migrator.schema_step AS s WHERE {in_force}) THEN\n  {other}\nEND IF;\n",
        text=text, in_force=_in_force(step), other=other,
    )  # fmt: skip


def _remember(plan: Plan, step: Step) -> Sql:
    values = [
        RUN,
        literal(plan.mapping),
        literal(step.side),
        literal(step.kind),
        literal(step.relation),
    ]
    values += [literal(step.name), literal(step.title), key_sql.texts(step.sql), key_sql.texts(step.undo)]
    values += [
        verbatim("true" if step.alone else "false"),
        literal(step.fits),
        literal(step.sha256),
    ]
    values += [
        literal(step.before),
        literal(step.after),
        compose("{}", step.views_first),
        compose("{}", step.views_last),
    ]
    return compose("{};", bound(schema.REGISTER, values))


def _statements(statements: tuple[Sql, ...]) -> Sql:
    return joined("", (compose("{};\n", statement) for statement in statements))


def apply(plan: Plan, step: Step) -> tuple[Statement, ...]:
    """One step with its line in the register, in one transaction; in three where it must stand alone."""
    return kinds.of(step).carry_out(step, Script(plan))


@dataclass(frozen=True, slots=True)
class Script(Execution[tuple[Statement, ...]]):
    """Prints steps, each for whoever executes it, once or again."""

    plan: Plan

    def together(self, step: Step) -> tuple[Statement, ...]:
        return (self._block(step, _statements(step.sql)),)

    def concurrently(self, step: Step) -> tuple[Statement, ...]:
        alone: Sequence[Sql] = step.sql
        if step.index:
            alone = [step.index.build(concurrently=True, unless_there=True)]
        invalid = stop(f"{step.title}: the index is not valid; execute this script again")
        is_valid = compose("IF NOT ({}) THEN\n  {}\nEND IF;\n", indexes.shows(step), invalid)
        build = map(Unrepeatable, alone)
        return (
            block(verbatim("migrator_broken text;"), _drop_invalid(step)),
            *build,
            self._block(step, is_valid),
        )

    def one_by_one(self, step: Step) -> tuple[Statement, ...]:
        return (*step.sql, self._block(step, NOTHING))

    def until_done(self, step: Step) -> tuple[Statement, ...]:
        """A call that nobody limits returns when nothing is left."""
        return self.one_by_one(step)

    def _block(self, step: Step, body: Sql) -> Sql:
        whole = compose(
            "{require_run}\n{done}{body}{remember}",
            require_run=require_run(self.plan), done=_done(step), body=body,
            remember=_remember(self.plan, step),
        )  # fmt: skip
        return block(RUN_DECLARED, whole)


def guard(step: Step) -> Sql:
    """When a step can be carried out at all: over a shadow column not any more once that was swapped in."""
    return (
        column_at(step.relation, step.shadow.name) if step.shadow and kinds.of(step).only_beside else NOTHING
    )


def _drop_invalid(step: Step) -> Sql:
    """What a killed build left guards nothing, and would be taken for the index."""
    return compose(
        "SELECT i.indexrelid::regclass::text INTO migrator_broken FROM pg_index i"
        " JOIN pg_class c ON c.oid = i.indexrelid\n"
        " WHERE i.indrelid = {relation}::regclass AND c.relname = {name}"
        " AND NOT i.indisvalid;\n"
        "IF migrator_broken IS NOT NULL THEN\n  EXECUTE 'DROP INDEX ' || migrator_broken;\nEND IF;",
        relation=literal(step.relation),
        name=literal(step.name),
    )


def undo(plan: Plan, step: Step) -> tuple[Statement, ...]:
    """One step back, once no run of the mapping is left that did anything."""
    kept = verbatim("RAISE INFO 'rows that are not this mapping''s need it, so it is kept';\n  RETURN;")
    fits = compose("IF NOT ({}) THEN\n  {}\nEND IF;\n", step.fits, kept) if step.fits else NOTHING
    body = compose(
        "{may_be_undone}{fits}{flagged}{statements}{forget}",
        may_be_undone=_may_be_undone(plan, step), fits=fits, flagged=proving.flag_goes(plan, step),
        statements=_statements(step.undo), forget=_forget(step),
    )  # fmt: skip
    return (block(joined("\n", [RUN_DECLARED, COUNT_DECLARED]), body),)


def _may_be_undone(plan: Plan, step: Step) -> Sql:
    stopped = stop("the rows of this run are still there: execute the scripts before this one first")
    others = compose(
        "SELECT FROM migrator.run AS r WHERE r.mapping = {mapping} AND r.rolled_back_at IS NULL"
        " AND EXISTS (SELECT FROM migrator.ledger AS l WHERE l.run = r.number)",
        mapping=literal(plan.mapping),
    )
    return compose(
        "IF NOT EXISTS (SELECT FROM migrator.schema_step AS s WHERE {same}) THEN\n"
        "  RAISE INFO 'not applied, nothing to undo';\n  RETURN;\nEND IF;\n"
        "{run_to_take_back}\n"
        "IF EXISTS (SELECT FROM migrator.ledger AS l WHERE l.run = migrator_run) THEN\n"
        "  {stopped}\nEND IF;\n"
        "IF EXISTS ({others}) THEN\n"
        "  RAISE INFO 'another run of the mapping needs this, so it is kept';\n  RETURN;\nEND IF;\n",
        same=_same(step), run_to_take_back=run_to_take_back(plan), stopped=stopped, others=others,
    )  # fmt: skip


def _forget(step: Step) -> Sql:
    return compose("UPDATE migrator.schema_step AS s SET undone_at = now() WHERE {};", _same(step))


def apply_at_source(step: Step) -> tuple[Statement, ...]:
    """A step in the source database, which has no register: done where the column is not there."""
    return (
        block(
            RUN_DECLARED,
            compose("IF NOT {} THEN\n{}END IF;", column_at(step.relation, step.name), _statements(step.sql)),
        ),
    )


def undo_at_source(step: Step) -> tuple[Statement, ...]:
    """The same back, unless the column holds something: other runs' rows then still need it."""
    holds = compose("EXISTS (SELECT FROM {} AS x WHERE x.{} IS NOT NULL)", step.relation, ident(step.name))
    body = compose(
        "IF {column_at} THEN\nIF {holds} THEN\n"
        "  RAISE INFO 'other rows are in it, so the column is kept';\n  RETURN;\nEND IF;\n"
        "{statements}END IF;",
        column_at=column_at(step.relation, step.name), holds=holds, statements=_statements(step.undo),
    )  # fmt: skip
    return (block(RUN_DECLARED, body),)


def remember(plan: Plan, step: Step) -> tuple[Statement, ...]:
    """The line in the register of a step that was applied to the source database."""
    return (block(RUN_DECLARED, compose("{}\n{}{}", require_run(plan), _done(step), _remember(plan, step))),)


def forget_step(plan: Plan, step: Step) -> tuple[Statement, ...]:
    """The step is no longer in force."""
    return (block(RUN_DECLARED, compose("{}{}", _may_be_undone(plan, step), _forget(step))),)


def check_schema(plan: Plan) -> tuple[Statement, ...]:
    """Stops unless every step is in the register with its sha256, and shows in the target's catalog."""
    checks = [require_run(plan)]
    for step in plan.steps:
        conditions = [compose("EXISTS (SELECT FROM migrator.schema_step AS s WHERE {})", _same(step))]
        conditions += [kinds.of(step).shows(step)] if step.side == "target" else []
        missing = stop(f"{step.title}: not in force")
        checks.append(compose("IF NOT ({}) THEN\n  {}\nEND IF;", joined(" AND ", conditions), missing))
    return (block(RUN_DECLARED, joined("\n", checks)),)


def forget_run(plan: Plan) -> tuple[Statement, ...]:
    """The end of a rollback: nothing claims any more that the run migrated something."""
    left = joined(
        " OR ",
        (
            compose(
                "EXISTS (SELECT FROM {map} AS m WHERE {of_table} AND m.run = migrator_run)",
                map=MAP,
                of_table=of_table(plan, table.name),
            )
            for table in plan.tables
        ),
    )
    names = joined(", ", (literal(table.name) for table in plan.moved))
    left = compose(
        "{left} OR EXISTS (SELECT FROM migrator.ledger AS l WHERE l.run = migrator_run AND l.phase = 'copy'"
        " AND l.inserted > 0 AND l.table_name <> ALL (ARRAY[{names}]::text[]))",
        left=left,
        names=names,
    )
    statements = [superseded.release(plan, RUN), bound(bad_rows.TAKE_BACK, [RUN])]
    statements += [bound(statement, [RUN]) for statement in undoing.forgetting(plan)]
    proved = joined("", (proving.after(plan, table) for table in plan.moved))
    stopped = stop("rows of this run are still there: execute the scripts before this one first")
    body = compose(
        "{run_to_take_back}\n"
        "IF migrator_run IS NULL THEN\n  RAISE INFO 'nothing to roll back';\n  RETURN;\nEND IF;\n"
        "IF {left} THEN\n  {stopped}\nEND IF;\n{proved}{statements}",
        run_to_take_back=run_to_take_back(plan), left=left, stopped=stopped, proved=proved,
        statements=_statements(tuple(statements)),
    )  # fmt: skip
    return (block(RUN_DECLARED, body),)
