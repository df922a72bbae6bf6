"""A run after exported scripts: it goes on with what they did, brings the rest, doubles nothing, and takes all back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from django.utils import timezone

from jobs.actions import runs, schedules
from jobs.actions.schedules import Wanted
from jobs.engine.target import script_runs
from jobs.models import Run, Schedule
from mappings.problems import Refused
from tests import factories
from tests.conftest import Databases
from tests.export.conftest import Twins
from tests.export.twins import Twin, likeness
from tests.journeys.world import Layout, fresh, reported, said, work
from tests.language.feature import counted


def executed(twin: Twin, folder: Path, upto: str) -> None:
    """Executes the scripts up to the one whose name holds `upto`, that included."""
    paths = sorted(folder.glob("*.sql"))
    last = next(place for place, path in enumerate(paths) if upto in path.name)
    part = folder.parent / "part"
    part.mkdir()
    for path in paths[: last + 1]:
        (part / path.name).write_text(path.read_text())
    twin.psql(part)


@pytest.mark.parametrize("upto", ["copy_customer", "clean_up_or_verify"])
def test_a_run_brings_only_the_rest(twins: Twins, tmp_path: Path, upto: str) -> None:
    hand, worker = twins
    before = hand.state()
    folder = hand.export(tmp_path / "out", rows=30)
    whole = upto != "copy_customer"
    hand.psql(folder) if whole else executed(hand, folder, upto)
    run = hand.verified()
    assert run.pk == hand.target("SELECT max(number) FROM migrator.run")[0][0]
    assert any("moved rows by hand as run 1 of the target: company 40" in text for text in said(run))
    rest = {} if whole else {"orders": 250, "note": 70}
    assert {name: count[0] for name, count in counted(run).items() if count[0]} == rest
    worker.verified()
    theirs, ours = likeness(worker), likeness(hand)
    assert {**ours, "ledger": None} == {**theirs, "ledger": None}

    done = hand.everything()
    hand.psql(folder)
    assert hand.everything() == done, "scripts after a takeover do nothing"
    for part in ("undo_verify_company", "undo_copy_customer", "undo_schema_widen"):
        (path,) = (folder / "undo").glob(f"*_{part}*.sql")
        assert "a worker has taken this run over" in hand.try_psql(path).stderr
    assert hand.everything() == done, "nor do their undo scripts"
    again = hand.verified()
    assert {name: count[0] for name, count in counted(again).items() if count[0]} == {}
    hand.undo(again, run)
    assert hand.state() == before


@pytest.mark.parametrize("twins", ["one"], indirect=True)
def test_a_number_that_is_taken_here_is_given_up(twins: Twins, tmp_path: Path) -> None:
    hand = twins.hand
    before = hand.state()
    folder = hand.export(tmp_path / "out")
    executed(hand, folder, "copy_orders")
    taken = factories.make_run("verified").pk
    uid = script_runs.uid_of("feature", hand.plan().sha256, "hand", taken)
    with psycopg.connect(hand.pair.target, autocommit=True) as conn:
        script_runs.renumber(conn, 1, taken, uid)
    run = hand.verified()
    assert run.pk > taken and {name: count[0] for name, count in counted(run).items() if count[0]} == {
        "note": 70
    }
    assert hand.target("SELECT DISTINCT run FROM migrator.migration_map") == [(run.pk,)]
    hand.undo(run)
    assert hand.state() == before


@pytest.mark.parametrize("twins", ["one"], indirect=True)
def test_scripts_take_back_what_they_brought_and_a_run_begins_anew(twins: Twins, tmp_path: Path) -> None:
    hand = twins.hand
    folder = hand.export(tmp_path / "out")
    hand.psql(folder)
    hand.psql(folder / "undo")
    run = hand.verified()
    assert run.pk != 1 and not any("by hand" in text for text in said(run))
    assert counted(run)["orders"] == (250, 0, 0, 0)


@pytest.mark.parametrize("twins", ["one"], indirect=True)
def test_another_revision_leaves_them_to_their_scripts(twins: Twins, tmp_path: Path) -> None:
    hand = twins.hand
    folder = hand.export(tmp_path / "out")
    hand.psql(folder)
    hand.define("version: 1\nname: feature\ndescription: newer\n" + hand.mapping_text)
    run = hand.verified()
    assert run.pk != 1 and any("their own scripts undo them" in text for text in said(run))
    assert hand.rolled_back(run).status == "rolled_back"
    hand.psql(folder / "undo")
    assert hand.target("SELECT count(*) FROM migrator.migration_map") == [(0,)]


@pytest.mark.parametrize("twins", ["one"], indirect=True)
def test_some_tables_only(twins: Twins, tmp_path: Path) -> None:
    """A run of fewer tables than were moved by hand is a run of its own; a whole one then goes on with theirs."""
    hand = twins.hand
    folder = hand.export(tmp_path / "out")
    executed(hand, folder, "copy_customer")
    some = work(runs.start(hand.mapping, hand.environment, None, ["note"]))
    assert fresh(some).status == "verified" and some.pk != 1
    whole = hand.verified()
    assert whole.pk > some.pk
    assert {name: count[0] for name, count in counted(whole).items() if count[0]} == {"orders": 250}


FILLED = """
CREATE TABLE person (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code text UNIQUE, name text);
INSERT INTO person (code, name) SELECT 'p' || n, CASE WHEN n > 3 THEN 'person ' || n ELSE 'other' END
  FROM generate_series(1, 10) n;
"""
ADOPTING = """
tables:
  - name: people
    source: old.people
    target: new.person
    existing: {match: [code], then: keep}
    columns: {code: code, name: name}
"""


@pytest.mark.parametrize("layout", ["one", "two"])
def test_a_target_that_was_filled_otherwise_gets_its_map_and_the_report_says_what_agrees(
    databases: Databases, layout: Layout
) -> None:
    people = "CREATE TABLE people (code text PRIMARY KEY, name text);"
    people += "INSERT INTO people SELECT 'p' || n, 'person ' || n FROM generate_series(1, 12) n"
    twin = Twin(databases, layout, "hand").filled(people, FILLED, ADOPTING)
    before = twin.state()
    run = twin.verified()
    assert counted(run) == {"people": (2, 0, 10, 0)}
    details = " ".join(check["detail"] for check in reported(run)[0]["checks"])
    assert "of 10 rows that were there and were kept, 7 agree in every column, 3 do not" in details
    pairs = "SELECT m.source_key = p.code FROM migrator.migration_map m JOIN new.person p ON p.id::text = m.target_key"
    assert twin.target(pairs) == [(True,)] * 12
    assert counted(twin.verified()) == {"people": (0, 0, 0, 0)}
    twin.undo(*reversed(Run.objects.order_by("pk")))
    assert twin.state() == before


@pytest.mark.parametrize(
    ("was", "is_now", "why"),
    [
        (
            "ARRAY['ALTER TABLE new.account ADD COLUMN \"source_table_id\" integer']",
            "ARRAY['SELECT 1']",
            "its SQL does not",
        ),
        ('"source_table_id" integer', '"source_table_id" bigint', "is bigint, but the key is integer"),
    ],
)
@pytest.mark.parametrize("twins", ["one"], indirect=True)
def test_a_script_that_was_tampered_with_holds_the_next_start_back(
    twins: Twins, tmp_path: Path, was: str, is_now: str, why: str
) -> None:
    hand = twins.hand
    folder = hand.export(tmp_path / "out")
    hand.psql(folder, "*_register.sql")
    column = min(folder.glob("*column_source_table_id.sql"))
    assert was in column.read_text()
    column.write_text(column.read_text().replace(was, is_now))
    hand.psql(folder, column.name)
    with pytest.raises(Refused, match=why):
        hand.start()
    assert not Run.objects.exists()


@pytest.mark.parametrize("twins", ["two"], indirect=True)
def test_where_a_schedule_says_so_scripts_that_were_run_by_hand_are_verified(
    twins: Twins, tmp_path: Path
) -> None:
    hand = twins.hand
    schedules.plan_verifications(hand.mapping, hand.environment, None, Wanted(after_hand_run=True))
    assert schedules.begin_next() and not Run.objects.exists(), "nothing was done by hand yet"
    hand.psql(hand.export(tmp_path / "out"))
    Schedule.objects.update(look_at=timezone.now() - timedelta(seconds=1))
    assert schedules.begin_next()
    run = work(Run.objects.get())
    assert run.status == "verified" and not any(count[0] for count in counted(run).values())
    assert (
        Schedule.objects.get().said == f"Run {run.pk} goes on with what was moved by hand, and compares all."
    )
    Schedule.objects.update(look_at=timezone.now() - timedelta(seconds=1))
    assert schedules.begin_next() and Run.objects.count() == 1, "what was taken over is not taken over again"
