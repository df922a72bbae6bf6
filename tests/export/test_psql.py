"""Scripts for psql, executed by psql: the same rows as the worker brings, once, and back."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Databases
from tests.export.conftest import Twins
from tests.export.twins import TARGET, Twin, likeness


def test_they_end_in_what_a_worker_makes(twins: Twins, tmp_path: Path) -> None:
    hand, worker = twins
    before = hand.state()
    assert before == worker.state()
    folder = hand.export(tmp_path / "out", rows=17)
    said = hand.psql(folder)
    worker.verified()
    assert likeness(hand) == likeness(worker)
    assert hand.backrefs()
    assert "customer: copy chunk 7" in said

    done = hand.everything()
    hand.psql(folder)
    assert hand.everything() == done

    hand.psql(folder / "undo")
    assert hand.state() == before
    assert hand.target("SELECT count(*) FROM migrator.run WHERE rolled_back_at IS NULL") == [(0,)]
    hand.psql(folder / "undo")
    assert hand.state() == before

    hand.psql(folder)
    assert hand.remembered()["ledger"] == done[1]["ledger"]
    assert hand.rows()["client"] and hand.backrefs()


def test_the_same_on_postgresql_16(databases16: Databases, tmp_path: Path) -> None:
    hand, worker = (Twin(databases16, "two", name).filled() for name in ("hand", "worker"))
    before = hand.state()
    folder = hand.export(tmp_path / "out", rows=17)
    hand.psql(folder)
    worker.verified()
    assert likeness(hand) == likeness(worker)
    hand.psql(folder / "undo")
    assert hand.state() == before


def test_a_view_over_a_widened_column_comes_back_both_ways(databases: Databases, tmp_path: Path) -> None:
    view = f"{TARGET} CREATE VIEW names AS SELECT full_name || 'it''s' AS name FROM client WHERE id > 0;"
    hand, worker = (Twin(databases, "one", name).filled(target=view) for name in ("hand", "worker"))
    before = hand.state()
    folder = hand.export(tmp_path / "out")
    assert any("VIEW" in path.read_text() for path in folder.glob("*widen*"))
    hand.psql(folder)
    worker.verified()
    assert likeness(hand) == likeness(worker)
    hand.psql(folder / "undo")
    assert hand.state() == before
