"""The tables that a run writes to, when it begins and after its rollback: fingerprints taken, compared, and kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from django.conf import settings
from django.db.models import QuerySet

from jobs import clock, states
from jobs.engine.schema import apply
from jobs.engine.target import fingerprints, source_prints, verdicts
from jobs.engine.target.fingerprints import Definitions, Digested, Writers
from jobs.models import Fingerprint, Run
from jobs.running.session import Session
from mappings.plan.codec import from_plain, to_plain
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan
from mappings.schema import kinds
from mappings.schema.applied import Applied
from mappings.sql import Sql, printed

REWRITES_NOTHING = ("column", "index")
"""What schema steps give (Kind.gives) whose way back leaves the values of all other columns alone."""

BY_REQUEST = "The schema was kept, as was asked for."

FOR_OTHERS = "The schema was kept: other runs of the mapping are still in the target."


@dataclass
class Undone:
    """What the way back of schema steps did: to which tables' values it may have, and what of which it kept."""

    rewritten: set[str] = field(default_factory=set)
    kept: dict[str, list[str]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)

    def note(self, step: Applied, kept: str) -> None:
        """One step was undone, or was kept, which is why."""
        self.names.add(step.name)
        if kinds.of(step).gives not in REWRITES_NOTHING:
            self.rewritten.add(step.relation)
        if kept:
            self.kept.setdefault(step.relation, []).append(f"{step.title}: {kept}.")


def take(session: Session) -> None:
    """Before the first schema step. A run that was begun by a version that took none stays without."""
    run = session.run
    if run.fingerprints.exists() or run.steps.filter(state="done").exists():
        return
    filled: dict[Sql, list[str]] = {}
    for table in session.plan.moved:
        filled.setdefault(table.into.target_sql, []).append(table.name)
    taken: list[tuple[str, Sql, list[str], fingerprints.Fingerprint]] = [
        ("target", target, names, _taken(session, target)) for target, names in filled.items()
    ]
    taken += [
        ("source", one.source, list(one.tables), source_prints.take(session.source, *one.asked))
        for one in _sources(session.plan)
    ]
    Fingerprint.objects.bulk_create(
        Fingerprint(run=run, position=n, side=side, target=relation, tables=names, before=to_plain(result))
        for n, (side, relation, names, result) in enumerate(taken, start=1)
    )


class Source(NamedTuple):
    """A source table with the columns that tell its rows apart and those that receive ids of the target."""

    source: Sql
    tables: tuple[str, ...]
    keys: tuple[str, ...]
    backrefs: tuple[str, ...]

    @property
    def asked(self) -> tuple[Sql, tuple[str, ...], tuple[str, ...]]:
        return self.source, self.keys, self.backrefs


def _sources(plan: Plan) -> list[Source]:
    """Those that a run of the plan writes to."""
    result: dict[Sql, list[TablePlan]] = {}
    for table in plan.moved:
        if table.link.backref:
            result.setdefault(table.feed.source_sql, []).append(table)
    return [
        Source(
            source,
            tuple(table.name for table in tables),
            tuple(dict.fromkeys(part.column for table in tables for part in table.feed.key)),
            tuple(table.link.backref or "" for table in tables),
        )
        for source, tables in result.items()
    ]


def _taken(session: Session, target: Sql) -> fingerprints.Fingerprint:
    return fingerprints.take(session.target, target, settings.FINGERPRINT_ROWS)


def compare_rows(session: Session, last: bool, doubts: Mapping[str, str]) -> None:
    """Once all rows of the run are undone, while the ledger still tells who wrote what.

    last: whether no other run of the mapping is left; then all is to be as before the first of those that overlapped;
    doubts: by target, of which rows nothing tells whether they are the run's.
    """
    first = _first_of(session.run) if last else session.run
    gone = None if last else _earlier(session.run).order_by("pk").last()
    for row in session.run.fingerprints.filter(side="target"):
        target, was = printed(row.target), _was(row, first)
        if gone is not None:
            digested = Digested(
                None, "", f"run {gone.pk}, whose rows were there when this run began, is rolled back"
            )
        elif was is None:
            digested = Digested(
                None, "", f"run {first.pk}, before which none was left, took no fingerprint of it"
            )
        else:
            digested = fingerprints.digest_again(session.target, target, was)
            row.writers = to_plain(_writers(session, target, was, digested))
        if doubt := doubts.get(target, ""):
            wrote = from_plain(Writers, row.writers) if row.writers else Writers()
            row.writers = to_plain(replace(wrote, doubt=doubt))
        row.of_run, row.rows_after = first.pk, to_plain(digested)
        row.save(update_fields=["of_run", "rows_after", "writers"])


def _writers(session: Session, target: Sql, was: fingerprints.Fingerprint, digested: Digested) -> Writers:
    """Asked only where rows are others than they were: it is one more pass."""
    if digested == was.digested and digested.digest:
        return Writers(0, 0)
    return fingerprints.writers_since(session.target, target, was, session.run.pk)


def compare_schema(session: Session, last: bool, undone: Undone) -> list[str]:
    """After the schema steps are undone, or were kept. Rows whose values that may have changed are digested again.
    Returns what differs and nobody accounts for, in words."""
    run = session.run
    kept = BY_REQUEST if run.keep_schema else "" if last else FOR_OTHERS
    sources = {one.source: one for one in _sources(session.plan)}
    steps = {step.name for step in session.plan.steps} | undone.names
    steps |= {step.name for step in apply.applied(session.target, session.plan.mapping)}
    for row in run.fingerprints.all():
        target = printed(row.target)
        first = Run.objects.get(pk=row.of_run) if row.of_run else (_first_of(run) if last else run)
        row.of_run, was = first.pk, _was(row, first)
        if row.side == "source":
            one = sources[target]
            row.rows_after = to_plain(source_prints.rows_named(session.source, *one.asked))
        elif row.target in undone.rewritten and was and (row.rows_after or {}).get("digest"):
            row.rows_after = to_plain(fingerprints.digest_again(session.target, target, was))
        now = fingerprints.define(session.sides.of(row.side), target)
        row.schema_after = to_plain(now)
        row.schema_kept = kept or " ".join(undone.kept.get(row.target, ()))
        row.unexplained = _unexplained(run, row, was, now, steps) if was else []
        row.compared = clock.now()
        row.save()
    return [f"{row.target}: {text}" for row in run.fingerprints.all() for text in row.unexplained]


def _unexplained(
    run: Run, row: Fingerprint, was: fingerprints.Fingerprint, now: Definitions, by_steps: set[str]
) -> list[str]:
    result = from_plain(Digested, row.rows_after) if row.rows_after else None
    schema = verdicts.unexplained_schema(was.definitions, now, row.schema_kept, by_steps)
    if row.side == "source":
        rows = verdicts.of_backrefs(was.digested, result)
        # Those of other runs that are there are proved with these.
        return [*(rows.texts if rows.state == "differs" and row.schema_kept != FOR_OTHERS else ()), *schema]
    wrote = from_plain(Writers, row.writers) if row.writers else Writers()
    tables = run.tables.filter(name__in=row.tables)
    left = sum(table.left.get("rows", 0) for table in tables)
    by_hand = sum(table.by_hand for table in tables)
    rows = verdicts.of_rows(was.digested, result, wrote, by_hand=by_hand, left=left)
    return [*verdicts.unexplained_rows(rows, was.digested, wrote), *schema]


def _first_of(run: Run) -> Run:
    """The first of the runs that were in the target together, this one being the last that leaves."""
    while earlier := _earlier(run).order_by("pk").first():
        run = earlier
    return run


def _earlier(run: Run) -> QuerySet[Run]:
    """Runs whose rows were in the target when this one began, and are not any more."""
    return Run.objects.filter(
        mapping=run.mapping_id, environment=run.environment_id, pk__lt=run.pk,
        status=states.ROLLED_BACK, finished__gt=run.created,
    )  # fmt: skip


def _was(row: Fingerprint, first: Run) -> fingerprints.Fingerprint | None:
    """What a table was when that run began."""
    same = first.fingerprints.filter(side=row.side, target=row.target)
    kept = row if row.run_id == first.pk else same.first()
    return from_plain(fingerprints.Fingerprint, kept.before) if kept else None
