"""A plan as text, as JSON and as SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mappings.plan.model import Plan
from mappings.plan.references import Assigned
from mappings.plan.schema_steps import Step
from mappings.plan.table_plan import TablePlan
from mappings.sql import comment


def as_text(plan: Plan) -> str:
    """The plan as a person reads it."""
    return "\n".join(_lines(plan))


def _lines(plan: Plan) -> Iterator[str]:
    place = "one database" if plan.same_database else "two databases"
    yield f"Plan of {plan.mapping}, revision {plan.revision} ({plan.sha256[:12]}), for {plan.environment}: {place}"
    yield f"Tables as they are now: {plan.fingerprint[:12]}"
    for parameter in plan.parameters:
        yield f"Parameter {parameter.name}: {parameter.value}"
    if plan.unmeasured:
        yield f"Not measured yet: {', '.join(plan.unmeasured)}. Steps, warnings and blockers may be missing."
    for title, problems in (("Blockers", plan.blockers), ("Warnings", plan.warnings)):
        if problems:
            yield f"\n{title}"
            yield from (f"  {problem}" for problem in problems)
    yield "\nTables, in this order"
    for table in plan.tables:
        yield from _table_lines(table, table.name in plan.estimated)
    yield "\nMeasured"
    for measure in plan.measures:
        verdict = f"widen to {measure.widened_to}" if measure.widened_to else "fits"
        if not measure.widened_to and measure.measured > measure.limit:
            verdict = "does not fit"
        yield f"  {measure.table}.{measure.column}: {measure.measured} of {measure.limit}, {verdict}"
    yield "\nSchema steps"
    for number, step in enumerate(plan.steps, start=1):
        yield f"  {number}. {step.title}  [{step.weight}; {step.lock}]"
        yield from (f"       {line}" for line in cost_lines(step))
        yield from (f"       {statement}" for statement in step.sql)


def cost_lines(step: Step) -> Iterator[str]:
    """What a step costs others, and what depends on what it changes."""
    cost = step.heaviness
    if cost.waits:
        yield f"{cost.waits}, for {cost.held}; the way back: {cost.undo_weight}, {cost.undo_held}"
    if cost.also_locked:
        yield f"locked as well: {', '.join(cost.also_locked)}"
    if cost.rebuilds:
        yield f"built anew: {', '.join(cost.rebuilds)}"
    if step.way_around:
        yield f"the safe way: {step.way_around}"
    for one in step.affected:
        yield f"{one.kind} {one.name} {one.fate}: {' '.join(one.definition.split())}"


def _table_lines(table: TablePlan, estimated: bool) -> Iterator[str]:
    rows = (
        f"about {table.feed.estimate} rows, by the server's statistics"
        if estimated
        else f"{table.feed.estimate} rows"
    )
    yield f"  {table.name}: {table.source} -> {table.target}, {rows}"
    if table.feed.walk_why:
        yield f"       read in ranges of {table.feed.walk}: {table.feed.walk_why}"
    for value in table.values:
        yield f"       {value.target} <- {value.sql}"
    for ref in table.references:
        late = ", after all rows are in" if ref.deferred else ""
        by = ", ".join(part.sql for part in ref.by)
        what = f"{ref.value_column} of {ref.parent} for {by}" if ref.parent else f"refused: {by}"
        what = _assigned(ref.assigned, ref.by[-1].sql) if ref.assigned else what
        yield f"       {ref.target} <- {what}{late}"


def _assigned(how: Assigned, own: str) -> str:
    """What fills a column whose value depends on those that are taken."""
    within = f" within {', '.join(how.within)}" if how.within else ""
    if how.suffix:
        return f"{own}, with the suffix {how.suffix} where it is taken{within}"
    after = "those that are there" if how.after is None else how.after
    return f"the next number after {after}{within}, by {how.order}"


def as_sql(plan: Plan) -> str:
    """The schema steps as a script, each with its undo as a comment."""
    return "\n\n".join(_step_sql(step) for step in plan.steps)


def _step_sql(step: Step) -> str:
    undo = "\n".join(comment(line) for statement in step.undo for line in f"undo: {statement};".split("\n"))
    about = comment(f"{step.title} ({step.side}; {step.weight}; {step.lock}; {step.heaviness.held})")
    return f"{about}\n" + ";\n".join(step.sql) + f";\n{undo}"


FORMATS: dict[str, Callable[[Plan], str]] = {"text": as_text, "json": Plan.text, "sql": as_sql}
