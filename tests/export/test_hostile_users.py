"""Exported scripts mean what they say, whatever another user of the database made."""

from __future__ import annotations

import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests import pgbouncer
from tests.conftest import Databases
from tests.export import test_django, test_flyway
from tests.export.twins import SOURCE, TARGET, Twin, likeness
from tests.hostile import lay, maker, robbed, unlay

NOTED = """
CREATE TABLE noted (op text, client bigint);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO noted SELECT TG_OP, 0; RETURN coalesce(NEW, OLD); END $$;
CREATE TRIGGER first BEFORE INSERT OR UPDATE OR DELETE ON client FOR EACH STATEMENT EXECUTE FUNCTION note();
CREATE CONSTRAINT TRIGGER late AFTER INSERT OR UPDATE OR DELETE ON account DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION note();
"""


def varied(statements: str) -> str:
    """With varchar in the place of text, for which PostgreSQL itself has no operators."""
    return statements.replace(" text", " varchar")


def by_flyway(hand: Twin, folder: Path, *, back: bool = False) -> None:
    hand.psql(folder / ("by_psql/3_before_undo" if back else "by_psql/1_before"))
    test_flyway.migrate(hand, folder, "U" if back else "V", back=back)
    if not back:
        hand.psql(folder / "by_psql/2_after")


def by_django(hand: Twin, folder: Path, *, back: bool = False) -> None:
    hand.psql(folder / ("by_psql/3_before_undo" if back else "by_psql/1_before"))
    test_django.migrate(hand, folder.parent, *(["zero"] if back else []))
    if not back:
        hand.psql(folder / "by_psql/2_after")


def by_psql(hand: Twin, folder: Path, *, back: bool = False) -> None:
    hand.psql(folder / "undo" if back else folder)


FORMS = {"psql": by_psql, "flyway": by_flyway, "django": by_django}


def test_traps_in_a_schema_of_everybody_catch_no_script(databases: Databases, tmp_path: Path) -> None:
    """In every form of them, there and back; what a worker makes of the same is the measure."""
    twins = {
        name: Twin(databases, "one", name).filled(varied(SOURCE), varied(TARGET) + NOTED)
        for name in ("worker", *FORMS)
    }
    for twin in twins.values():
        twin.target(f"ALTER DATABASE {urlsplit(twin.pair.target).path[1:]} SET search_path = public, new")
    worker = twins.pop("worker")
    worker.verified()
    for form, hand in twins.items():
        name = maker()
        lay(hand.pair, name, "new")
        try:
            before = hand.state()
            folder = hand.export(tmp_path / form / "exported", form, rows=17)
            FORMS[form](hand, folder)
            assert likeness(hand) == likeness(worker), form
            assert robbed(hand.pair, name) == [], form
            FORMS[form](hand, folder, back=True)
            noted = hand.target("SELECT DISTINCT op FROM new.noted ORDER BY 1")
            assert noted == [("DELETE",), ("INSERT",), ("UPDATE",)], form
            hand.target("TRUNCATE new.noted")
            assert hand.state() == before, form
            if (
                form != "django"
            ):  # it looks its own table up afterwards, in statements and a session of its own
                assert robbed(hand.pair, name) == [], form
        finally:
            unlay(hand.pair, name)


@pytest.mark.skipif(not pgbouncer.installed(), reason=pgbouncer.MISSING)
def test_a_script_stops_where_its_settings_do_not_hold(databases: Databases, tmp_path: Path) -> None:
    hand = Twin(databases, "one", "hand").filled(SOURCE, TARGET)
    folder = hand.export(tmp_path / "out")
    (tmp_path / "pool").mkdir()
    first = sorted(folder.glob("*.sql"))[0]
    with pgbouncer.pooled(hand.pair.target, tmp_path / "pool", "transaction", True) as url:
        command = ["psql", "-X", "-q", url]
        held = [
            subprocess.Popen([*command, "-c", "SELECT pg_sleep(1)"], stdout=subprocess.DEVNULL)
            for _ in range(3)
        ]
        assert [process.wait() for process in held] == [0, 0, 0]  # the pool has three sessions to give now
        found = subprocess.run([*command, "-f", str(first)], capture_output=True, text=True, check=False)
    assert found.returncode == 3
    assert "the settings at the top of this script are not in force" in found.stderr
    assert hand.target("SELECT to_regnamespace('migrator')") == [(None,)]
