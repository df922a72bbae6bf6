"""What is handed over of a run: its report as files with every difference, and evidence that a stranger can check."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from pathlib import Path
from subprocess import run as run_process
from typing import Any
from xml.etree import ElementTree
from zipfile import ZipFile

import pytest
from django.core.management import call_command
from django.test import Client

from jobs.actions import runs
from jobs.models import Run
from jobs.reporting.differences import Filters
from jobs.reporting.evidence import signing
from jobs.reporting.files import workbook
from jobs.reporting.files.content import content_of
from tests import factories
from tests.journeys.conftest import ONE_LAYOUT
from tests.journeys.world import World, fresh, work

CELL = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def command(*words: object) -> tuple[int, str]:
    """Exit status, and what was written to standard output."""
    out = io.StringIO()
    try:
        call_command("run", *map(str, words), stdout=out, stderr=io.StringIO())
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


def sheets(file: Path | io.BytesIO) -> list[list[list[str]]]:
    """The cells of each sheet as texts; a formula is an error."""
    found = []
    with ZipFile(file) as book:
        names = [name for name in book.namelist() if name.startswith("xl/worksheets/sheet")]
        for name in sorted(names, key=lambda name: int("".join(filter(str.isdigit, name)))):
            tree = ElementTree.fromstring(book.read(name))
            assert next(tree.iter(f"{CELL}f"), None) is None
            found.append([["".join(cell.itertext()) for cell in row] for row in tree.iter(f"{CELL}row")])
    return found


@pytest.fixture
def differing(shop: World) -> Run:
    """A run with 12 differences, some of which would like to be formulas."""
    run = shop.started()
    shop.target("UPDATE crm.client SET origin = '=1+1' WHERE source_table_id = 1")
    shop.target("UPDATE crm.client SET email = '@SUM(A1), \"x\"', origin = '' WHERE source_table_id = 2")
    shop.target("UPDATE crm.client SET origin = NULL WHERE source_table_id = 3")
    shop.target("UPDATE crm.sale SET total = -total WHERE source_table_id BETWEEN 11 AND 17")
    shop.target("DELETE FROM crm.sale WHERE source_table_id = 8")
    runs.verify(fresh(run), None)
    return work(run)


@ONE_LAYOUT
def test_a_report_is_handed_over_whole_in_each_form(differing: Run, client: Client, tmp_path: Path) -> None:
    run, address = differing, f"/runs/{differing.pk}/report"
    client.force_login(factories.make_user())

    def got(path: str) -> bytes:
        answer: Any = client.get(path)
        assert answer.status_code == 200, path
        return b"".join(answer.streaming_content)

    lines = list(csv.reader(io.StringIO(got(f"{address}.csv").decode())))
    by_key = {(line[2], line[4]): line for line in lines[1:]}
    assert len(lines) == 1 + 12
    assert by_key["1", "origin"][:3] == ["customer", "different", "1"]
    assert by_key["1", "origin"][5:7] == ["legacy", "'=1+1"]
    assert by_key["2", "email"][6] == '\'@SUM(A1), "x"' and by_key["11", "total"][6] == "-13.75"
    assert ',legacy,"",' in got(f"{address}.csv").decode() and ",legacy,," in got(f"{address}.csv").decode()
    whole = json.loads(got(f"{address}.json"))
    assert len(whole["differences"]) == 12 and whole["report"]["passed"] is False
    assert {one["found"] for one in whole["differences"]} >= {"=1+1", "", None}
    assert whole["report"]["revision_sha256"] == run.revision.sha256
    report, tables, checks, rows = sheets(io.BytesIO(got(f"{address}.xlsx")))
    assert len(rows) == 13 and any("=1+1" in row for row in rows) and ["run", str(run.pk)] in report
    assert [row[0] for row in tables] == ["name", "customer", "orders"]
    assert "failed" in {row[2] for row in checks}
    filtered = got(f"{address}.csv?table=orders&kind=missing").decode().splitlines()
    assert len(filtered) == 2 and filtered[1].startswith("orders,missing,8,")
    page = client.get(f"{address}/differences/?table=orders&kind=missing").content.decode()
    assert f'href="{address}.csv?table=orders&amp;kind=missing"' in page
    for form, size in (("csv", 13), ("json", 13)):
        assert command("report", run.pk, "--format", form, "--output", tmp_path / form)[0] == 0
        assert len((tmp_path / form).read_text().splitlines()) == size + (form == "json")
    assert command("report", run.pk, "--format", "csv", "--table", "customer")[1].count("\n") == 5
    assert command("report", run.pk, "--format", "xlsx")[0] == 2
    workbook.write(content_of(fresh(run), Filters()), str(tmp_path / "many"), most=6)
    *_, first, second, third = sheets(tmp_path / "many")
    assert [len(first), len(second), len(third)] == [6, 6, 3] and first[0] == second[0] == third[0]
    assert first[1:] + second[1:] + third[1:] == rows[1:]


def test_evidence_is_checked_on_the_databases_and_not_believed_when_it_was_changed(
    shop: World, tmp_path: Path, client: Client
) -> None:
    run, file = shop.started(), tmp_path / "evidence.json"
    assert command("evidence", run.pk, "--output", file)[0] == 0
    document = json.loads(file.read_text())
    assert document["run"]["uid"] == str(run.uid) and document["report"]["passed"] is True
    assert [table["digests"]["source"]["rows"] for table in document["tables"]] == [48, 200]
    assert all(
        table["digests"]["source"]["digest"] == table["digests"]["target"]["digest"]
        for table in document["tables"]
    )
    client.force_login(factories.make_user())
    from_page = json.loads(client.get(f"/runs/{run.pk}/evidence.json").content)
    assert from_page["tables"] == document["tables"] and from_page["made_by"] == "alice"
    addresses = ("--source", shop.pair.source, "--target", shop.pair.target)
    code, said = command("evidence", "--check", file, "--public-key", signing.public_key(), *addresses)
    assert code == 0 and "DOES NOT HOLD" not in said and said.count("holds: ") == 8
    words = ("run", "evidence", "--check", file, "--public-key", signing.public_key(), *addresses)
    elsewhere = {"PATH": os.environ["PATH"], "MIGRATOR_HOME": str(tmp_path / "elsewhere")}
    stranger = run_process(
        [sys.executable, "manage.py", *words], check=False, env=elsewhere, capture_output=True, text=True
    )
    assert (stranger.returncode, stranger.stdout) == (0, said), (
        "without servers of an installation of their own"
    )
    forged = tmp_path / "forged.json"
    forged.write_text(json.dumps({**document, "made_by": "somebody else"}))
    assert command("evidence", "--check", forged)[0] == 2
    assert command("evidence", "--check", file, "--public-key", "A" * 43 + "=")[0] == 2
    shop.target("UPDATE crm.sale SET day = day + 1 WHERE source_table_id = 7")
    shop.target("UPDATE crm.sale SET day = day - 1 WHERE source_table_id = 9")
    code, said = command("evidence", "--check", file, "--format", "json")
    broken = [one["what"] for one in json.loads(said)["findings"] if one["holds"] is False]
    assert code == 3 and broken == ["orders: the target is as it was", "orders: source and target agree"]
