"""Rows by the thousand for pages and lists, made in bulk: mappings with revisions, environments, runs of every age."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.db import connection
from django.utils import timezone

from jobs import states
from jobs.models import Chunk, Report, Run, RunEvent, StepRun, TableRun
from mappings.language.canonical import canonical, canonical_json, sha256
from mappings.language.file import parse
from mappings.models import Environment, Mapping, Revision, TableMapping
from tests import factories

NAMES = ("local", "staging", "production")
ENDS = (states.VERIFIED, states.FAILED, states.VERIFIED, states.MISMATCH, states.VERIFIED, states.ROLLED_BACK)
TABLE = "  - {source: legacy.t%(n)d, target: crm.t%(n)d, columns: {name: name, email: email}}\n"


def make_environments() -> list[Environment]:
    """One behind the other."""
    made: list[Environment] = []
    for name in NAMES:
        made.append(factories.make_environment(name, made[-1] if made else None))
    return made


def make_mappings(count: int, tables: int = 2, prefix: str = "m") -> list[Revision]:
    """Mappings m-00000 and so on, each with its first revision."""
    lines = "".join(TABLE % {"n": number} for number in range(tables))
    specs = [parse(f"version: 1\nname: {prefix}-{number:05}\ntables:\n{lines}") for number in range(count)]
    mappings = Mapping.objects.bulk_create(
        Mapping(name=spec.name, description="Customers of a branch, into the CRM of the group", version=1)
        for spec in specs
    )
    TableMapping.objects.bulk_create(
        TableMapping(mapping=mapping, position=position, values=values, version=1)
        for mapping, spec in zip(mappings, specs, strict=True)
        for position, values in enumerate(canonical(spec)["tables"])
    )
    return Revision.objects.bulk_create(
        Revision(mapping=mapping, number=1, canonical=canonical_json(spec), sha256=sha256(spec))
        for mapping, spec in zip(mappings, specs, strict=True)
    )


def make_runs(count: int, revisions: Sequence[Revision], environments: Sequence[Environment]) -> list[Run]:
    """Runs that have ended, spread over the pairs, each with two tables and the report of those that were compared."""
    now, user = timezone.now(), factories.make_user()
    runs = Run.objects.bulk_create(
        (
            Run(
                mapping_id=revision.mapping_id, revision=revision, environment=environment, started_by=user,
                plan=plan_of(revision), fingerprint="f" * 64, status=status,
                stage="undo" if status == states.ROLLED_BACK else "copy" if status == states.FAILED else "verify",
                created=now - timedelta(minutes=count - number), started=now - timedelta(minutes=count - number),
                finished=now - timedelta(minutes=count - number - 1), copy_seconds=41.0,
            )
            for number in range(count)
            for revision in [revisions[number % len(revisions)]]
            for environment in [environments[number // len(revisions) % len(environments)]]
            for status in [ENDS[number % len(ENDS)]]
        ),
        batch_size=1000,
    )  # fmt: skip
    TableRun.objects.bulk_create(
        (
            TableRun(run=run, position=n, name=f"t{n}", inserted=1000, quarantined=0 if run.pk % 9 else 3)
            for run in runs
            for n in range(2)
        ),
        batch_size=2000,
    )
    compared = (run for run in runs if run.stage != "copy")
    Report.objects.bulk_create(
        (Report(run=run, passed=run.status != states.MISMATCH, tables=[]) for run in compared),
        batch_size=2000,
    )
    return runs


def plan_of(revision: Revision, tables: int = 2) -> dict[str, object]:
    """What pages read of a plan, and what it holds besides by weight."""
    names = [f"t{number}" for number in range(tables)]
    planned = [
        {"name": name, "source": f"legacy.{name}", "target": f"crm.{name}", "references": [], "sql": "SELECT 1 " * 40}
        for name in names
    ]  # fmt: skip
    return {
        "sha256": revision.sha256, "revision": revision.number, "selected": names, "tables": planned,
        "source_identity": "7/1/legacy", "target_identity": "7/2/crm", "structure": [],
    }  # fmt: skip


def make_large_run(revision: Revision, environment: Environment, tables: int, chunks: int) -> Run:
    """A run in the middle of its copy: so many tables, chunks and schema steps."""
    now = timezone.now()
    run = Run.objects.create(
        mapping_id=revision.mapping_id, revision=revision, environment=environment, status=states.COPYING,
        plan=plan_of(revision, tables), stage="copy", started=now - timedelta(minutes=20),
        stage_since=now - timedelta(minutes=20), started_by=factories.make_user(),
    )  # fmt: skip
    rows = TableRun.objects.bulk_create(
        TableRun(
            run=run, position=n, name=f"t{n}", estimated_rows=chunks * 1000 // tables, inserted=50_000,
            cut_done=n % 2 == 0,
        )
        for n in range(tables)
    )  # fmt: skip
    Chunk.objects.bulk_create(
        (
            Chunk(
                table=rows[number % tables], phase="copy", number=number // tables, rows=1000, seconds=0.3,
                state="done" if number < chunks * 9 // 10 else "waiting", low=[str(number)], high=[str(number + 1)],
                seen=now - timedelta(seconds=1200 - 1200 * number / chunks),
            )
            for number in range(chunks)
        ),
        batch_size=2000,
    )  # fmt: skip
    StepRun.objects.bulk_create(
        StepRun(run=run, position=n, title=f"Add column source_table_id to crm.t{n}", state="done", seconds=0.2,
                sql=f"ALTER TABLE crm.t{n} ADD COLUMN source_table_id bigint, ADD COLUMN is_migrated boolean")
        for n in range(tables)
    )  # fmt: skip
    RunEvent.objects.bulk_create(RunEvent(run=run, text=f"Step {n} is done.", at=now) for n in range(80))
    return run


def make_history(count: int, at_once: int = 1000) -> None:
    """Entries of the history, by the database's own chain; so many in each transaction."""
    with connection.cursor() as cursor:
        for first in range(1, count + 1, at_once):
            cursor.execute(
                "INSERT INTO jobs_historyentry (kind, verb, outcome, actor, way, place, address, mapping, revision,"
                " sha256, environment, run, subject, text) SELECT 'run', 'verified',"
                " (ARRAY['done', 'failed'])[1 + mod(n, 2)], 'w1', 'worker', '', '', 'm-' || lpad(mod(n, 1000)::text, 5,"
                " '0'), 1, repeat('0', 64), (ARRAY['local', 'staging', 'production'])[1 + mod(n, 3)], n, '',"
                " 'Verification found no difference.' FROM generate_series(%s::integer, %s::integer) AS n",
                [first, min(first + at_once - 1, count)],
            )
