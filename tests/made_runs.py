"""Rows of runs, tables, chunks and seats, as a worker would have left them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from jobs.models import Chunk, Run, Seat, TableRun
from jobs.processes import seats
from mappings.models import Environment, Mapping, Revision

PLAN = {
    "tables": [
        {"name": "company", "source": "legacy.company", "target": "crm.account", "references": []},
        {
            "name": "contact",
            "source": "legacy.contact",
            "target": "crm.person",
            "references": [{"deferred": True}],
        },
    ]
}


def make_run(status: str = "copying", name: str = "crm-merge", **values: Any) -> Run:
    """A run of a mapping of that name in `local`, started ten seconds ago."""
    mapping, _ = Mapping.objects.get_or_create(name=name)
    environment = Environment.objects.filter(name="local").first() or Environment(name="local")
    environment.source_url = environment.target_url = "postgresql://u:p@127.0.0.1:1/nowhere"
    environment.save()
    revision = mapping.latest_revision or Revision.objects.create(
        mapping=mapping, number=1, canonical="{}", sha256="0" * 64
    )
    values = {"plan": PLAN, "stage": "copy", "started": timezone.now() - timedelta(seconds=10), **values}
    values.setdefault("stage_since", values["started"])
    return Run.objects.create(
        mapping=mapping, environment=environment, revision=revision, status=status, **values
    )


def make_table(run: Run, name: str = "company", **values: Any) -> TableRun:
    """The table's row in the run."""
    return TableRun.objects.create(run=run, name=name, position=run.tables.count(), **values)


def make_chunk(
    table: TableRun, state: str = "done", phase: str = "copy", ago: float = 0, **values: Any
) -> Chunk:
    """A chunk whose worker was last seen `ago` seconds ago."""
    seen = timezone.now() - timedelta(seconds=ago)
    number = table.chunks.filter(phase=phase).count()
    return Chunk.objects.create(table=table, phase=phase, number=number, state=state, seen=seen, **values)


def make_seat(name: str = "one", ago: float = 0) -> Seat:
    """A seat that was last seen `ago` seconds ago."""
    seen = timezone.now() - timedelta(seconds=ago)
    return Seat.objects.create(name=name, queue=seats.queue_name(name), host="here", pid=1, seen=seen)
