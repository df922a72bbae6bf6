"""From rows of a run to counts, rates and time left."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.utils import timezone

from jobs import progress, states
from jobs.actions import runs as actions
from jobs.models import Report, Run
from jobs.reporting import summary
from mappings.problems import Refused
from tests.made_runs import make_chunk, make_run, make_table

pytestmark = pytest.mark.django_db

OUTCOME: dict[str, Any] = {"inserted": 80, "updated": 10, "kept": 6, "quarantined": 4}


def look(run: Run) -> progress.Progress:
    return progress.progress_of(Run.objects.get(pk=run.pk))


def only(run: Run) -> progress.TableProgress:
    (table,) = look(run).tables
    return table


# ---- the counts


def test_a_copy_under_way() -> None:
    run = make_run()
    company = make_table(run, estimated_rows=400, chunk_rows=100, **OUTCOME)
    make_table(run, "contact", estimated_rows=100)
    make_chunk(company, "done", rows=100, ago=1)
    make_chunk(company, "claimed")
    seen = look(run)
    first, second = seen.tables
    assert (first.name, first.state) == ("company", "copying")
    assert (first.source, first.target) == ("legacy.company", "crm.account")
    assert (first.done_rows, first.total_rows, first.fraction, first.chunk_rows) == (100, 400, 0.25, 100)
    assert (first.inserted, first.updated, first.kept, first.quarantined) == (80, 10, 6, 4)
    assert (second.state, second.done_rows, second.total_rows, second.fraction) == ("waiting", 0, 100, 0.0)
    assert (seen.done_rows, seen.total_rows, seen.fraction) == (100, 500, 0.2)


def test_the_time_left_heeds_a_throttle_that_was_just_set() -> None:
    run = make_run(throttles={"rows_per_second": 2})
    make_chunk(make_table(run, estimated_rows=300, **OUTCOME), rows=100, ago=1)
    assert look(run).seconds_left == 100  # of the rate of the last seconds it would be 20
    Run.objects.update(throttles={"rows_per_second": 1_000})
    assert round(look(run).seconds_left or 0) == 20


def test_an_estimate_that_was_too_low_never_gives_more_than_all() -> None:
    run = make_run()
    make_chunk(make_table(run, estimated_rows=50, **OUTCOME), "claimed")
    assert (only(run).total_rows, only(run).fraction) == (100, 1.0)


def test_an_estimate_that_was_too_high_is_dropped_when_the_table_is_through() -> None:
    run = make_run()
    make_chunk(make_table(run, estimated_rows=5000, cut_done=True, **OUTCOME))
    assert (only(run).state, only(run).total_rows, only(run).fraction) == ("done", 100, 1.0)


def test_an_empty_table_is_done_at_once() -> None:
    run = make_run()
    make_table(run, cut_done=True)
    assert (only(run).state, only(run).fraction, look(run).fraction) == ("done", 1.0, 1.0)


def test_a_table_with_references_to_link_is_not_done_with_its_copy() -> None:
    run = make_run()
    contact = make_table(run, "contact", estimated_rows=100, cut_done=True, **OUTCOME)
    make_chunk(contact)
    assert only(run).state == "copying"
    contact.phase = "link"
    contact.save()
    make_chunk(contact, "claimed", phase="link")
    assert only(run).state == "linking"


@pytest.mark.parametrize(
    ("stage", "status", "values", "expected"),
    [
        ("prepare", "preparing", {"estimated_rows": 100}, ("waiting", 0, 100)),
        (
            "verify",
            "verifying",
            {"phase": "verify", "estimated_rows": 100, "source_rows": 25, "compared": 25},
            ("verifying", 25, 100),
        ),
        ("undo", "rolling_back", {"phase": "undo", "undone": 48, **OUTCOME}, ("undoing", 48, 96)),
    ],
)
def test_each_stage_counts_its_own_rows(
    stage: str, status: str, values: dict[str, Any], expected: Any
) -> None:
    run = make_run(status, stage=stage)
    table = make_table(run, **values)
    if stage != "prepare":
        make_chunk(table, "claimed", phase=table.phase)
    assert (only(run).state, only(run).done_rows, only(run).total_rows) == expected


@pytest.mark.parametrize(
    ("status", "word"), [("paused", "paused"), ("failed", "stopped"), ("cancelled", "stopped")]
)
def test_a_run_that_stands_still_says_so(status: str, word: str) -> None:
    run = make_run(status)
    make_chunk(make_table(run, estimated_rows=1000, **OUTCOME), "done", rows=100, ago=1)
    assert only(run).state == word
    assert (look(run).rows_per_second, look(run).seconds_left) == (0.0, None)


@pytest.mark.parametrize("status", ["verified", "mismatch", "rolled_back"])
def test_a_finished_run_is_all_done(status: str) -> None:
    run = make_run(status, stage="undo" if status == "rolled_back" else "verify", finished=timezone.now())
    make_table(run, phase="verify", source_rows=100, compared=100, **OUTCOME)
    assert (look(run).fraction, only(run).state) == (1.0, "done")


def test_a_run_without_tables_yet_has_no_progress() -> None:
    seen = look(make_run("queued", stage="prepare", started=None))
    assert (seen.fraction, seen.total_rows, seen.elapsed, seen.rates, seen.seconds_left) == (
        0.0,
        0,
        0.0,
        (),
        None,
    )


# ---- rates


def test_the_rate_is_of_the_last_seconds_and_gives_the_time_left() -> None:
    run = make_run(started=timezone.now() - timedelta(seconds=60))
    table = make_table(run, estimated_rows=10_000, inserted=6_000)
    make_chunk(table, rows=5_000, ago=30)
    make_chunk(table, rows=1_000, ago=2)
    make_chunk(table, "claimed", rows=0)
    assert look(run).rows_per_second == pytest.approx(100)
    assert look(run).seconds_left == pytest.approx(40)


def test_a_run_took_what_its_stages_took_not_what_it_lay_there_between() -> None:
    spent: dict[str, Any] = {"prepare_seconds": 1.0, "copy_seconds": 2.0, "verify_seconds": 3.0}
    hour_ago = timezone.now() - timedelta(hours=1)
    assert make_run("verified", started=hour_ago, finished=timezone.now(), **spent).seconds == 6
    again = make_run("verifying", stage_since=timezone.now() - timedelta(seconds=4), **spent)
    assert 10 <= again.seconds < 3600


def test_the_chart_has_equal_steps_and_every_row() -> None:
    run = make_run(started=timezone.now() - timedelta(seconds=600))
    table = make_table(run, estimated_rows=10_000, inserted=6_000)
    for ago in (590, 300, 299, 5):
        make_chunk(table, rows=1_000, ago=ago)
    rates = look(run).rates
    (width,) = {round(after - before, 6) for (before, _), (after, _) in pairwise(rates)}
    assert len(rates) <= progress.MOST_BUCKETS + 1
    assert sum(rate * width for _, rate in rates) == pytest.approx(4_000)


def test_the_chart_of_a_rollback_starts_with_the_rollback() -> None:
    run = make_run("rolling_back", stage="undo", started=timezone.now() - timedelta(days=30))
    table = make_table(run, phase="undo", inserted=100)
    make_chunk(table, phase="copy", rows=999, ago=86_400 * 29)
    make_chunk(table, phase="undo", rows=10, ago=3)
    make_chunk(table, phase="undo", rows=20, ago=1)
    assert sum(rate for _, rate in look(run).rates) == 30
    assert len(look(run).rates) <= 4


def test_the_number_of_queries_does_not_grow(django_assert_max_num_queries: Any) -> None:
    run = make_run("rolling_back", stage="undo")
    for number in range(30):
        table = make_table(run, f"t{number}", phase="undo")
        for _ in range(5):
            make_chunk(table, phase="undo", rows=10)
    run = Run.objects.get(pk=run.pk)
    with django_assert_max_num_queries(5):
        progress.progress_of(run)


# ---- the summary


def test_the_summary_is_the_contracts_object() -> None:
    run = make_run(
        "verified", copy_seconds=2.0, prepare_seconds=0.5, verify_seconds=1.0, finished=timezone.now()
    )
    make_table(run, source_rows=100, target_before=7, target_after=87, is_migrated=90, map_rows=96, **OUTCOME)
    said = summary.summary(run)
    assert list(said) == [
        "run", "status", "tables", "seconds", "prepare_seconds", "copy_seconds", "verify_seconds", "rows_per_second",
        "equality", "failed_checks",
    ]  # fmt: skip
    assert said["tables"] == [
        {
            "name": "company", "source_rows": 100, **OUTCOME, "target_before": 7, "target_after": 87,
            "is_migrated": 90, "map_rows": 96, "missing": 0, "extra": 0, "different": 0,
        }
    ]  # fmt: skip
    assert (said["rows_per_second"], said["status"], said["run"]) == (45, "verified", run.pk)


@pytest.mark.parametrize("status", states.STATUSES)
@pytest.mark.parametrize("wanted", ["start", "retry", "verify", "rollback"])
def test_exit_statuses(status: str, wanted: summary.Wanted) -> None:
    if wanted == "rollback":
        expected = 0 if status == "rolled_back" else 1
    else:
        expected = {"verified": 0, "mismatch": 3}.get(status, 1)
    assert summary.exit_code(Run(status=status), wanted) == expected


def test_rows_that_were_set_aside_stand_beside_the_word_verified() -> None:
    run = make_run("verified", finished=timezone.now())
    make_table(run, source_rows=100, **OUTCOME)
    assert "verified, 4 rows quarantined" in summary.text(run)


def test_the_text_shows_what_differs_and_no_markup_of_its_own() -> None:
    run = make_run("mismatch", finished=timezone.now())
    make_table(run, source_rows=100, different=1, **OUTCOME)
    columns = [{"column": "name", "expected": "a", "found": None}]
    sample = {"kind": "different", "key": "[bold]7", "columns": columns}
    Report.objects.create(run=run, passed=False, tables=[{"name": "company", "samples": [sample]}])
    text = summary.text(run)
    assert "mismatch" in text
    assert "company: different [bold]7: name should be a, is NULL" in text


def test_a_check_that_failed_is_named_and_forgotten_with_the_rollback() -> None:
    run = make_run("mismatch", finished=timezone.now())
    make_table(run, source_rows=100, extra=1, **OUTCOME)
    checks = [
        {
            "title": "Every migrated row is flagged",
            "passed": False,
            "detail": "95 rows are flagged, 96 are linked",
        },
        {"title": "The map holds each source row once", "passed": True, "detail": "96 map rows"},
    ]
    Report.objects.create(run=run, passed=False, tables=[{"name": "company", "checks": checks}])
    broken = {"table": "company", "check": "Every migrated row is flagged", "detail": checks[0]["detail"]}
    said = "company: not so: Every migrated row is flagged (95 rows are flagged, 96 are linked)"
    assert summary.summary(run)["failed_checks"] == [broken]
    assert said in summary.text(run) and "extra" in summary.text(run)
    with pytest.raises(Refused) as caught:
        actions.repair(run, None)
    assert said in [str(problem) for problem in caught.value.problems]
    run.status = "rolled_back"
    assert summary.summary(run)["failed_checks"] == []
    assert "not so" not in summary.text(run) and "extra" not in summary.text(run)


def test_the_text_names_the_error() -> None:
    assert "No room [at all]." in summary.text(make_run("failed", error="No room [at all]."))
