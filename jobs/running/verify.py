"""The ends of copying and of comparing: links, sequences, and the verdict with its evidence."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.conf import settings
from django.db.models import Case, F, IntegerField, When

from jobs import clock, phases, states, transitions
from jobs.engine.feed import Work, run_sql
from jobs.engine.moving import backrefs, compare, link, prune_orphans, ranges, sequences
from jobs.engine.moving.compare import Totals
from jobs.engine.sql import digest, keep_differences
from jobs.engine.sql.keep_differences import Keep
from jobs.engine.sql.walks.chunk_range import Range
from jobs.engine.target import exclusive, ledger
from jobs.engine.target.ledger import Ticket
from jobs.engine.target.witnesses import Told, named
from jobs.models import COUNTS, Chunk, Report, Run, TableRun, save_counts
from jobs.running import begin_phase, chosen_rows, claims, in_passes, late_rows
from jobs.running.cutting import next_chunk
from jobs.running.rollback.counts import taken_back
from jobs.running.session import Session
from jobs.running.standing import beyond, of_steps
from mappings.plan.codec import to_plain
from mappings.plan.model import Plan
from mappings.plan.table_plan import TablePlan

FIRST_COMPARISON_ROWS = 50_000
MOST_SAMPLES = 20


def end_of_copy(session: Session) -> None:
    """All chunks of the present phases are done: link what waits for links, set aside what stayed without its parent,
    then repair, else begin to compare."""
    run = session.run
    tables = list(run.tables.all())
    if late_rows.take_in_late_rows(session, tables):
        return
    unlinked = [
        table
        for table in tables
        if table.phase == phases.COPY
        and not table.chosen
        and link.needs_links(session.plan.table(table.name))
    ]
    chosen = [table for table in tables if table.phase == phases.COPY and chosen_rows.waits_for_links(table)]
    if chosen:
        with session.alone():
            begin_phase.enter(chosen, phases.LINK, cut=True)
        return
    if unlinked:
        with session.alone():
            for table in unlinked:
                begin_phase.cut_for_links(table)
        return
    if _sets_orphans_aside(session, tables):
        return
    if to_repair := late_rows.repairs(tables):
        with session.alone():
            begin_phase.enter(to_repair, phases.REPAIR, cut=True)
        return
    for table in tables:
        work = session.work(table)
        sequences.put_ahead(work, work.table.into.sequences)
        backrefs.validate(work)
    with session.alone():
        _note_repairs(run, tables)
        begin_comparison(tables)
        transitions.move(run, states.VERIFYING)


def _sets_orphans_aside(session: Session, tables: list[TableRun]) -> bool:
    """Makes the chunk that sets rows aside which were linked without their parent; whether there are any."""
    host = prune_orphans.host(session.plan)
    if host is None or not ledger.left_unlinked(session.target, session.run.pk):
        return False
    table = next(table for table in tables if table.name == host)
    with session.alone():
        begin_phase.enter([table], phases.PRUNE, cut=True)
        next_chunk.add(table, None, None)
    return True


def _note_repairs(run: Run, tables: list[TableRun]) -> None:
    for table in tables:
        if table.phase == phases.REPAIR:
            done = table.chunks.filter(phase=phases.REPAIR, seen__gte=run.stage_since)
            rows = sum(done.values_list("rows", flat=True))
            transitions.note(run, f"{table.name}: {rows:,} rows were repaired.")


def begin_comparison(tables: list[TableRun], identical: bool | None = None) -> None:
    """Sets every table to be compared from its first key on. identical: by binary images; None: as the last time."""
    for table in tables:
        table.enter(phases.VERIFY, cut=False)
    Chunk.objects.filter(table__in=tables, phase=phases.VERIFY).delete()
    # To copy takes longer, but where rows are wide.
    larger = When(chunk_rows__range=(ranges.SMALLEST, FIRST_COMPARISON_ROWS), then=FIRST_COMPARISON_ROWS)
    TableRun.objects.filter(pk__in=[table.pk for table in tables]).update(
        phase=phases.VERIFY, cut_done=False, cut_until=None, chosen=False, passes=None,
        comparison=F("comparison") + 1,
        chunk_rows=Case(larger, default=F("chunk_rows"), output_field=IntegerField()),
        identical=F("identical") if identical is None else identical,
        **dict.fromkeys(in_passes.COUNTED, 0),
    )  # fmt: skip


def end_of_comparison(session: Session) -> None:
    """Every chunk is compared: copy what is missing, or count the tables, write the report, and give the verdict."""
    run = session.run
    tables = list(run.tables.all())
    if late_rows.take_in_missing_rows(session, tables):
        return
    standing, gone, sampled = of_steps(session), taken_back(run), _sampled(run)
    result = [_conclude(session, table, standing.get(table.name), gone, sampled) for table in tables]
    _put_by_column(session, result, tables[0].comparison if tables else 0)
    passed = all(check["passed"] for table in result for check in table["checks"])
    with session.alone():
        save_counts(tables, COUNTED_AT_END)
        Report.objects.create(
            run=run, created=clock.now(), passed=passed, tables=result, seconds=_seconds(run)
        )
        transitions.move(
            run, states.VERIFIED if passed else states.MISMATCH, level="info" if passed else "error"
        )


COUNTED_AT_END = (
    "inserted", "source_rows", "target_after", "is_migrated", "map_rows", "quarantined", "extra",
)  # fmt: skip
"""What is counted of each table once all are compared."""


def _put_by_column(session: Session, result: list[dict[str, Any]], comparison: int) -> None:
    """What earlier verifications kept is replaced; of this one the differing rows of each column are counted."""
    with session.target.transaction():
        run_sql(session.target, keep_differences.forget_earlier(session.run.pk, comparison))
        columns = run_sql(session.target, keep_differences.by_column(session.run.pk, comparison)).fetchall()
    for table in result:
        named = [(column, rows) for name, column, rows in columns if name == table["name"]]
        table["columns"] = [{"column": column, "different": rows} for column, rows in named]


def _seconds(run: Run) -> float:
    return (clock.now() - run.stage_since).total_seconds() if run.stage_since else 0.0


def _conclude(
    session: Session, table: TableRun, standing: dict[str, Any] | None, gone: Counter[str], sampled: set[int]
) -> dict[str, Any]:
    """One table's part of the report; the counts are put on the table as well. standing: the check of its steps; gone:
    by target, the rows that were rolled back since; sampled: the tables of which chunks kept samples."""
    work = session.work(table)
    totals, named_back = compare.totals(work), _backrefs(session, work, table)
    if table.guarded:  # a retry may have brought again what someone took away
        table.inserted = compare.own_rows(work) - table.by_hand
    table.source_rows = table.compared + totals.quarantined  # rows that were set aside are not compared
    planned = session.plan.table(table.name)
    table.target_after, table.is_migrated = totals.target_rows, totals.flagged
    table.map_rows, table.quarantined = totals.map_rows, totals.quarantined
    # Where ranges do not hold in the target, what no source row claims shows only in the totals.
    if planned.link.link_by == "map" or not planned.link.aligned:
        table.extra = max(0, totals.claimed - table.matched)
    counts = {name: getattr(table, name) for name in COUNTS}
    return {
        "name": table.name,
        **counts,
        "checks": [
            *_checks(work, table, totals, gone[planned.target], _is_digested(session.plan, table)),
            _exclusive(work, totals),
            *_named_back(planned, named_back),
            *([standing] if standing else []),
        ],
        "losses": [to_plain(loss) for loss in session.plan.losses if loss.table == table.name],
        "samples": [*named_back.samples, *(_samples(table) if table.pk in sampled else ())][:MOST_SAMPLES],
        "comparison": table.comparison,
        "equality": "identical" if table.identical else "equal",
        "passes": table.passes or 0,
        "differences": table.differences + named_back.differing,
        "recorded": table.recorded + named_back.kept,
    }


def _backrefs(session: Session, work: Work, table: TableRun) -> backrefs.Compared:
    """Of a table that has back-references, which are not as they were written."""
    if not work.table.link.backref:
        return backrefs.Compared()
    keep = Keep(table.comparison, 0, max(0, settings.DIFFERENCES_KEPT - claims.recorded(session.run)))
    ticket = Ticket(work.run, session.run.epoch, table.name, phases.VERIFY, 0, Range())
    return backrefs.compare(work, ticket, keep, MOST_SAMPLES)


def _named_back(table: TablePlan, result: backrefs.Compared) -> list[dict[str, Any]]:
    """The check that the source names the target's rows, where it is to."""
    if not table.link.backref:
        return []
    title = "Every back-reference in the source names the row's own target row"
    text = f"{result.differing:,} of {table.source}.{table.link.backref} do not"
    if result.differing:
        text += f", for example source rows {', '.join(sample['key'] for sample in result.samples[:3])}"
    return [{"title": title, "passed": not result.differing, "detail": text}]


def _is_digested(plan: Plan, table: TableRun) -> bool:
    """Whether both sides gave digests first."""
    can = digest.digestible_by_part if table.passes else digest.digestible
    return can(plan, plan.table(table.name), table.identical)


def _sampled(run: Run) -> set[int]:
    chunks = Chunk.objects.filter(table__run=run, phase=phases.VERIFY).exclude(samples=[])
    return set(chunks.order_by().values_list("table_id", flat=True).distinct())


def _samples(table: TableRun) -> list[Any]:
    chunks = table.chunks.filter(phase=phases.VERIFY).exclude(samples=[]).order_by("number")
    return [sample for chunk in chunks[:MOST_SAMPLES] for sample in chunk.samples][:MOST_SAMPLES]


def _how(digested: bool, identical: bool, passes: int) -> str:
    """By what kind of equality rows were compared, and how."""
    rows = "compared row by row"
    if passes:
        rows += " in one join of both tables" if passes == 1 else f" in {passes} joins of both tables"
    if digested:
        hashes = "two 64-bit hashes of the binary form of every whole row"
        reads = "1 reading" if passes == 1 else f"{passes} readings"
        parts = f"parts of the table, by {reads} of both sides," if passes else "ranges of keys"
        rows = f"{parts} digested on both sides ({hashes}), and those that differed compared row by row"
    if identical:
        return f"identical in every bit of their binary form: {rows}"
    of_digests = "; where digests agree rows are identical" if digested else ""
    return f"equal by each type's own equality, by which 1.10 is 1.1: {rows}{of_digests}"


def _checks(work: Work, table: TableRun, totals: Totals, gone: int, digested: bool) -> list[dict[str, Any]]:
    """Each promise with whether it holds, and the figures that show it."""
    planned = work.table
    how = _how(digested, work.identical, table.passes or 0)
    expected = table.target_before - gone + table.inserted
    checks = [
        ("Every source row in scope is in the target", not table.missing, f"{table.missing:,} missing"),
        (
            "Nothing in the target claims a source row that is not there",
            not table.extra,
            f"{table.extra:,} extra",
        ),
        (
            "Every mapped value is as the mapping yields it",
            not table.different,
            f"{table.different:,} different; {how}{_of_kept(table)}",
        ),
        (
            "The target has the rows that were there and the rows that came",
            totals.target_rows >= expected,
            f"{table.target_before:,} before{f' - {gone:,} rolled back since' if gone else ''}"
            f" + {table.inserted:,} inserted = {expected:,},"
            f" found {totals.target_rows:,}{beyond(work, totals.target_rows - expected)}",
        ),
    ]
    if planned.link.is_migrated:
        text = f"{totals.flagged:,} rows are flagged, {totals.linked:,} are linked to a source row"
        checks.append(("Every migrated row is flagged", _flags_agree(totals, planned), text))
    if planned.link.keep_map:
        by_map = planned.link.link_by == "map"
        # Rows of later runs may lie within what was compared, or beyond it.
        agree = totals.claimed <= table.matched <= totals.map_rows
        holds = agree if by_map else totals.map_rows == totals.linked
        text = f"{totals.map_rows:,} map rows; {table.matched:,} source rows are in the target"
        checks.append(("The map holds each source row once", holds, text))
    return [{"title": title, "passed": passed, "detail": detail} for title, passed, detail in checks]


def _exclusive(work: Work, totals: Totals) -> dict[str, Any]:
    both: Told = exclusive.both(work) if totals.quarantined else (0, ())
    detail = named(both, "rows are both")
    return {"title": "No row is in the target and set aside as well", "passed": not both[0], "detail": detail}


def _of_kept(table: TableRun) -> str:
    """What kept rows say: they are not the migration's, so that nothing fails by it, but whoever adopts them asks."""
    if not table.kept_compared:
        return ""
    unlike = table.kept_compared - table.kept_alike
    text = f"of {table.kept_compared:,} rows that were there and were kept, {table.kept_alike:,} agree in every column"
    return f"; {text}, {unlike:,} do not" if unlike else f"; {text}"


def _flags_agree(totals: Totals, planned: TablePlan) -> bool:
    """Flags are compared row by row as well; the totals catch a flag on a row that nothing links."""
    return totals.flagged >= totals.linked if planned.into.existing is None else True
