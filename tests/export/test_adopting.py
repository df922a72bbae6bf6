"""A run after exported scripts: it goes on with what they did, brings the rest, doubles nothing, and takes all back."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from jobs import actions
from jobs.engine import adoption
from tests import factories
from tests.export.conftest import Twins
from tests.export.twins import Twin, likeness
from tests.journeys.world import fresh, said, work
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
    uid = adoption.uid_of("feature", hand.plan().sha256, "hand", taken)
    with psycopg.connect(hand.pair.target, autocommit=True) as conn:
        adoption.renumber(conn, 1, taken, uid)
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
    some = work(actions.start(hand.mapping, hand.environment, None, ["note"]))
    assert fresh(some).status == "verified" and some.pk != 1
    whole = hand.verified()
    assert whole.pk > some.pk
    assert {name: count[0] for name, count in counted(whole).items() if count[0]} == {"orders": 250}
