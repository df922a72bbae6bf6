"""The target's tables when a run begins, and after its rollback: taken, compared and kept in the control database."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.conf import settings
from django.db.models import QuerySet

from jobs import clock, states
from jobs.engine.target import fingerprints
from jobs.engine.target.fingerprints import Digested, Writers
from jobs.models import Fingerprint, Run
from jobs.running.session import Session
from mappings.plan.codec import from_plain, to_plain
from mappings.schema import kinds
from mappings.schema.applied import Applied

REWRITES_NOTHING = ("column", "index")
"""What schema steps give (Kind.gives) whose way back leaves the values of all other columns alone."""

BY_REQUEST = "The schema was kept, as was asked for."
FOR_OTHERS = "The schema was kept: other runs of the mapping are still in the target."


@dataclass
class Undone:
    """What the way back of schema steps did: to which tables' values it may have, and what of which it kept."""

    rewritten: set[str] = field(default_factory=set)
    kept: dict[str, list[str]] = field(default_factory=dict)

    def note(self, step: Applied, kept: str) -> None:
        """One step was undone, or was kept, which is why."""
        if kinds.of(step).gives not in REWRITES_NOTHING:
            self.rewritten.add(step.relation)
        if kept:
            self.kept.setdefault(step.relation, []).append(f"{step.title}: {kept}.")


def take(session: Session) -> None:
    """Before the first schema step. A run that was begun by a version that took none stays without."""
    run = session.run
    if run.fingerprints.exists() or run.steps.filter(state="done").exists():
        return
    filled: dict[str, list[str]] = {}
    for table in session.plan.moved:
        filled.setdefault(table.into.target_sql, []).append(table.name)
    Fingerprint.objects.bulk_create(
        Fingerprint(
            run=run, position=n, target=target, tables=names, before=to_plain(_taken(session, target))
        )
        for n, (target, names) in enumerate(filled.items(), start=1)
    )


def _taken(session: Session, target: str) -> fingerprints.Fingerprint:
    return fingerprints.take(session.target, target, settings.FINGERPRINT_ROWS)


def compare_rows(session: Session, last: bool) -> None:
    """Once all rows of the run are undone, while the ledger still tells who wrote what.

    last: whether no other run of the mapping is left; then all is to be as before the first of those that overlapped.
    """
    first = _first_of(session.run) if last else session.run
    gone = None if last else _earlier(session.run).order_by("pk").last()
    for row in session.run.fingerprints.all():
        was = _was(row, first)
        if gone is not None:
            found = Digested(
                None, "", f"run {gone.pk}, whose rows were there when this run began, is rolled back"
            )
        elif was is None:
            found = Digested(
                None, "", f"run {first.pk}, before which none was left, took no fingerprint of it"
            )
        else:
            found = fingerprints.digest_again(session.target, row.target, was)
            row.writers = to_plain(_writers(session, row.target, was, found))
        row.of_run, row.rows_after = first.pk, to_plain(found)
        row.save(update_fields=["of_run", "rows_after", "writers"])


def _writers(session: Session, target: str, was: fingerprints.Fingerprint, found: Digested) -> Writers:
    """Asked only where rows are others than they were: it is one more pass."""
    if found == was.digested and found.digest:
        return Writers(0, 0)
    return fingerprints.writers_since(session.target, target, was.snapshot, session.run.pk)


def compare_schema(session: Session, last: bool, undone: Undone) -> None:
    """After the schema steps are undone, or were kept. Rows whose values that may have changed are digested again."""
    run = session.run
    kept = BY_REQUEST if run.keep_schema else "" if last else FOR_OTHERS
    for row in run.fingerprints.all():
        was = _was(row, Run.objects.get(pk=row.of_run or run.pk))
        if row.target in undone.rewritten and was and (row.rows_after or {}).get("digest"):
            row.rows_after = to_plain(fingerprints.digest_again(session.target, row.target, was))
        row.schema_after = to_plain(fingerprints.define(session.target, row.target))
        row.schema_kept = kept or " ".join(undone.kept.get(row.target, ()))
        row.compared = clock.now()
        row.save(update_fields=["rows_after", "schema_after", "schema_kept", "compared"])


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
    kept = row if row.run_id == first.pk else first.fingerprints.filter(target=row.target).first()
    return from_plain(fingerprints.Fingerprint, kept.before) if kept else None
