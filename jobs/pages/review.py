"""What the review page shows: the plan, or why there is none, and each table as it was written and as it is run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from jobs.actions import reviews, runs
from jobs.models import Review
from mappings.language.canonical import sha256
from mappings.language.spec import Column
from mappings.models import Environment, Mapping
from mappings.plan.measures import Measure
from mappings.plan.model import Plan
from mappings.plan.references import Reference
from mappings.plan.table_plan import TablePlan
from mappings.planning.planner import gated
from mappings.problems import Problem, Refused
from mappings.schema.strategy import offers
from mappings.sql import joined
from mappings.store import revision_spec, spec_of
from mappings.studio.places import Place, names_in, places_of


@dataclass(frozen=True, slots=True)
class ReviewColumn:
    """One target column. kind: column, expression, constant, lookup or reference; written: as in the mapping.

    sql: what is run at the source; reference: how a parent is found, where kind is reference; parents: the table
    mappings that it may be in.
    """

    target: str
    type: str
    kind: str
    written: str
    sql: str
    reference: Reference | None
    parents: str = ""


@dataclass(frozen=True, slots=True)
class ReviewTable:
    """One table of the plan with its columns in the mapping's order. where: the condition in the mapping's words."""

    plan: TablePlan
    columns: tuple[ReviewColumn, ...]
    where: str | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """A problem, and the address of the field in the mapping's page where it is mended; '' where none is."""

    text: str
    path: str
    place: str


def in_file(problem: Problem) -> bool:
    """Whether its path leads into the mapping file, and not to an environment or a database."""
    return problem.path.startswith("tables[")


@dataclass(frozen=True, slots=True)
class ReviewPage:
    """The review of a mapping in an environment. plan: None where there is none yet, or problems stood against it.

    made: the review as it is remembered; None where not even that was possible. place: where a path is mended;
    estimate: while a worker measures, the plan as far as it is known without; tables are of it then.
    """

    plan: Plan | None
    found: tuple[Problem, ...]
    tables: tuple[ReviewTable, ...]
    newer_draft: bool = False
    made: Review | None = None
    place: Place | None = None
    estimate: Plan | None = None

    @property
    def estimated(self) -> tuple[str, ...]:
        """The tables whose rows are not counted."""
        plan = self.plan or self.estimate
        return plan.estimated if plan else ()

    @property
    def problems(self) -> list[Placed]:
        """Why there is no plan."""
        return self._placed(self.found)

    @property
    def blockers(self) -> list[Placed]:
        return self._placed(self.plan.blockers if self.plan else ())

    @property
    def warnings(self) -> list[Placed]:
        return self._placed(self.plan.warnings if self.plan else ())

    def _placed(self, problems: Sequence[Problem]) -> list[Placed]:
        return [
            Placed(one.text, one.path, self.place(one.path) if self.place and in_file(one) else "")
            for one in problems
        ]

    @property
    def is_live(self) -> bool:
        """Whether a worker is still to make the plan."""
        return self.made is not None and self.made.state in ("waiting", "measuring")

    @property
    def has_safe_way(self) -> bool:
        """Whether a change of the plan is, or could be, made without its long lock."""
        return self.plan is not None and any(offers(step) for step in self.plan.steps)

    @property
    def tight(self) -> tuple[Measure, ...]:
        """The measured columns that are too small as they are."""
        return tuple(one for one in self.plan.measures if one.measured > one.limit) if self.plan else ()

    @property
    def roomy(self) -> tuple[Measure, ...]:
        """The measured columns that hold every value."""
        return tuple(one for one in self.plan.measures if one.measured <= one.limit) if self.plan else ()


def review_of(
    mapping: Mapping,
    environment: Environment | None,
    names: Sequence[str],
    anew: bool = False,
    safe: bool = False,
) -> ReviewPage:
    """The plan of the latest revision; of the tables called `names` only, unless there are none; safe: as in actions.

    One that a worker made stays until it is too old, or one is made anew; a quick one is made for each look.
    """
    if environment is None:
        return ReviewPage(None, (), ())
    review = _review_of(mapping, environment, names, anew, safe)
    plan = review.plan
    shown = [*review.found, *(plan.blockers if plan else ()), *(plan.warnings if plan else ())]
    return replace(review, place=_places(mapping, review)) if any(map(in_file, shown)) else review


def _places(mapping: Mapping, review: ReviewPage) -> Place:
    """Paths count the tables of the revision that the plan was made of; of the draft where there is none yet."""
    if review.plan:
        return places_of(mapping, names_in(mapping.revisions.get(number=review.plan.revision)))
    latest = mapping.latest_revision
    return places_of(mapping, names_in(latest) if latest else None)


def _review_of(
    mapping: Mapping, environment: Environment, names: Sequence[str], anew: bool, safe: bool
) -> ReviewPage:
    try:
        kept = None if anew else reviews.latest(mapping, environment, names, safe)
        made = kept or runs.quick_review(mapping, environment, names, safe)
    except Refused as refusal:
        return ReviewPage(None, refusal.problems, ())
    if made.plan is None:
        result = tuple(Problem(*problem) for problem in made.problems)
        page = ReviewPage(None, result, (), made=made)
        return _with_estimate(page, mapping, environment, names) if page.is_live else page
    plan = Plan.from_json(made.plan)
    if kept:  # an approval may have come or become too old since
        plan = gated(plan, environment)
    return ReviewPage(plan, (), tables_of(mapping, plan), has_newer_draft(mapping), made)


def _with_estimate(
    page: ReviewPage, mapping: Mapping, environment: Environment, names: Sequence[str]
) -> ReviewPage:
    """What can be shown while a worker measures; the page without it where that is not possible either."""
    assert page.made
    try:
        plan = runs.estimated_review(mapping, environment, names or None, page.made.safe)
    except Refused:
        return page
    return replace(page, estimate=plan, tables=tables_of(mapping, plan))


def has_newer_draft(mapping: Mapping) -> bool:
    """Whether the forms hold something else than the latest revision says."""
    latest = mapping.latest_revision
    try:
        return latest is not None and sha256(spec_of(mapping)) != latest.sha256
    except Refused:
        return True


def changed_since(mapping: Mapping, reviewed: str) -> tuple[Problem, ...]:
    """Why a start is not what was reviewed: a revision newer than the one whose number the form carries."""
    latest = mapping.latest_revision
    if not reviewed or latest is None or str(latest.number) == reviewed:
        return ()
    text = f"{mapping.name} was changed after you reviewed it: it is at revision {latest.number} now, not {reviewed}"
    return (Problem("", text),)


def tables_of(mapping: Mapping, plan: Plan) -> tuple[ReviewTable, ...]:
    """The tables that a run would move, each column as it was written beside what it became."""
    revision = mapping.revisions.get(number=plan.revision)
    spec = {table.name: table for table in revision_spec(revision).tables}
    return tuple(
        ReviewTable(table, columns_of(table, spec[table.name].columns), spec[table.name].where)
        for table in plan.moved
    )


def columns_of(table: TablePlan, written: Sequence[Column]) -> tuple[ReviewColumn, ...]:
    """The columns of one table, in the order of the mapping."""
    values = {value.target: value for value in table.values}
    columns = []
    for column in written:
        kind, text = as_written(column)
        value, references = values.get(column.name), table.referring.get(column.name)
        if references and (how := references[0][1].assigned):
            sql, kind_of = references[0][1].by[-1].sql if how.suffix else how.order, references[0][1].type
            columns.append(ReviewColumn(column.name, kind_of, kind, f"{text}{_taken(column)}", sql, None))
        elif references:
            reference, parents = references[0][1], [ref.parent for _, ref in references if ref.parent]
            sql = joined(", ", (part.sql for _, ref in references for part in ref.by))
            told = f" by {column.ref.by}" if column.ref and column.ref.by else ""
            text, named = f"{text}{told}", " or ".join(parents)
            columns.append(ReviewColumn(column.name, reference.type, kind, text, sql, reference, named))
        elif value:
            columns.append(ReviewColumn(column.name, value.rounded, kind, text, value.sql, None))
    return tuple(columns)


def _taken(column: Column) -> str:
    """How a column's value depends on those that are taken, in the mapping's own words."""
    within = f" within {', '.join(column.within)}" if column.within else ""
    if column.unique:
        return f", unique{within} by {column.unique.suffix}"
    order = column.number.order_by if column.number else None
    return f"next{within}{f' by {order}' if order else ''}"


def as_written(column: Column) -> tuple[str, str]:
    """What kind of filling it is, and its text in the mapping's own words."""
    names = ", ".join(column.from_)
    if column.number:
        return "number", ""
    if column.lookup:
        lookup = column.lookup
        return "lookup", f"{lookup.value} of {lookup.table} where {lookup.key} = {column.expr or names}"
    if column.ref:
        return "reference", column.expr or names
    if column.has_value:
        return "constant", json.dumps(column.value, ensure_ascii=False)
    return ("expression", column.expr) if column.expr else ("column", names)
