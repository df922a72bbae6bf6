"""Tables that are compared in passes over the whole of both sides: whether one is, what was found, and giving it up."""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings
from django.db import transaction

from jobs import phases, transitions
from jobs.engine.feed import Work, run_sql
from jobs.engine.one_pass import scattered
from jobs.engine.sql import keep_differences
from jobs.models import Chunk, Run, TableRun
from mappings.catalog.row_order import RowOrder

KEYS_OF_A_CHUNK = 1_000

FEW = 10_000
"""So few rows are compared quickly in any order."""

COUNTED = (
    "source_rows", "compared", "matched", "missing", "extra", "different", "kept_compared", "kept_alike",
    "differences", "recorded",
)  # fmt: skip
"""What a comparison counts of a table."""


def forget(table: TableRun) -> None:
    """Begins the counts of a comparison anew; to be saved."""
    for name in COUNTED:
        setattr(table, name, 0)


def undecided(table: TableRun, work: Work) -> bool:
    """Whether it is still to be decided how the table is compared. One that is half compared goes on by keys, and so
    does one of few rows, where they do not have to travel for it."""
    if table.passes is not None or table.cut_until is not None:
        return False
    few = max(table.estimated_rows, table.done_rows) < FEW and not settings.ONE_PASS_BYTES
    return not (few and (work.plan.same_database or work.table.link.aligned))


def decide(run: Run, table: TableRun, work: Work) -> int:
    """In how many passes the table is compared; 0: by ranges of keys. Says so in the run's log where it is passes.

    A run that is throttled goes by keys, as a pass can neither be slowed nor ended half way.
    """
    table.passes = 0
    if not run.throttles and scattered.possible(work):
        place = scattered.look(work)
        if scattered.pays(work, place, settings.ONE_PASS_BYTES):
            table.passes = scattered.passes(max(table.estimated_rows, table.done_rows))
            transitions.note(run, _said(table, place, work))
    table.save(update_fields=["passes"])
    return table.passes


def _said(table: TableRun, place: RowOrder, work: Work) -> str:
    reads = "one pass" if table.passes == 1 else f"{table.passes} passes"
    size = f"{place.size // 2**20:,} MB"
    why = "the two servers may sort its keys differently, so that all rows would have to travel"
    if place.is_at_random or work.table.link.aligned:
        kept = f"where its server keeps {place.memory // 2**20:,} MB in memory"
        why = f"its keys lie at random (correlation {place.correlation or 0:.2f}), and it has {size} {kept}"
    return f"{table.name} is verified in {reads} over both sides as they lie: {why}."


def name_wrong(chunk: Chunk, named: Iterable[tuple[str, str]]) -> None:
    """What a pass found missing or different becomes chunks of their own, narrowed to their keys and done, so that a
    repair or a sweep has these rows to deal with and not the whole table."""
    by_kind: dict[str, list[str]] = {"missing": [], "different": []}
    for kind, key in named:
        by_kind[kind].append(key)
    last = Chunk.objects.filter(table=chunk.table_id, phase=chunk.phase).order_by("-number").first()
    made = [
        Chunk(table_id=chunk.table_id, phase=chunk.phase, low=chunk.low, high=chunk.high, state="done", only=keys,
              **{kind: len(keys)})
        for kind, all_keys in by_kind.items() for keys in _cut(all_keys)
    ]  # fmt: skip
    for number, one in enumerate(made, start=(last.number if last else 0) + 1):
        one.number = number
    Chunk.objects.bulk_create(made)
    Chunk.objects.filter(pk=chunk.pk).update(missing=0, different=0)


def _cut(keys: list[str]) -> Iterable[list[str]]:
    return (keys[start : start + KEYS_OF_A_CHUNK] for start in range(0, len(keys), KEYS_OF_A_CHUNK))


def give_up(run: Run, chunk: Chunk, work: Work, why: str) -> None:
    """Has the table compared by ranges of keys instead, from the start. Whoever else is in a pass of it is shut out
    before: what he found must not count."""
    with transaction.atomic():
        table = TableRun.objects.select_for_update().get(pk=chunk.table_id)
        if table.phase != phases.VERIFY or not table.passes:
            return
        with work.target.transaction():
            run_sql(work.target, keep_differences.forget_table(work.run, table.name, table.comparison))
        table.chunks.filter(phase=phases.VERIFY).delete()
        forget(table)
        table.passes, table.cut_done, table.cut_until = 0, False, None
        table.save()
        transitions.note(
            run, f"{table.name} is verified in the order of its keys instead: {why}.", level="warning"
        )
