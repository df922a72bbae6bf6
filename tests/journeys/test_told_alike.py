"""Commands, JSON and pages say the same of the same run, however it ended."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import unescape

import pytest
from django.test import Client

from jobs.actions import runs
from jobs.models import Run
from jobs.templatetags.jobs_tags import compact
from tests.journeys.world import NewWorld, World, fresh, work
from tests.test_run_command import run_command

pytestmark = pytest.mark.usefixtures("seated")

SOURCE = """
CREATE TABLE item (id int PRIMARY KEY, code text, label text, size text);
INSERT INTO item SELECT n, 'c' || n, 'l' || n, n FROM generate_series(1, 1200) n;
CREATE TABLE note (id int PRIMARY KEY, item int, body text);
INSERT INTO note SELECT n, n, 'b' || n FROM generate_series(1, 1100) n;
"""
TARGET = """
CREATE TABLE thing (id serial PRIMARY KEY, code text UNIQUE, label text, size int);
INSERT INTO thing (code, label) VALUES ('c1', 'old'), ('c2', 'old'), ('zz', 'other');
CREATE TABLE remark (id serial PRIMARY KEY, thing_id int REFERENCES thing, body text);
"""
MAPPING = """
version: 1
name: told
on_error: {0}
tables:
  - {{name: item, source: item, target: thing, existing: {{match: [code], then: update}},
     columns: {{code: code, label: label, size: size}}}}
  - {{name: note, source: note, target: remark, columns: {{thing_id: {{from: item, ref: item}}, body: body}}}}
"""
BAD = "UPDATE item SET size = 'x' WHERE id IN (7, 8, 9)"
COUNTS = ("inserted", "updated", "kept", "quarantined")


def differing(world: World) -> Run:
    run = world.started()
    world.target(
        "UPDATE thing SET label = 'spoiled' WHERE code = 'c77'; DELETE FROM remark WHERE body = 'b5'"
    )
    runs.verify(fresh(run), None)
    return work(run)


def cancelled(world: World) -> Run:
    run = world.start()
    runs.cancel(run, None)
    return work(run)


def unproved(world: World) -> Run:
    """Somebody changed a row that the run had nothing to do with."""
    run = world.started()
    world.target("UPDATE thing SET label = 'changed' WHERE code = 'zz'")
    return world.rolled_back(run)


def left(world: World) -> Run:
    """Rows that were edited since stay where they are."""
    run = world.started()
    world.target("UPDATE remark SET body = 'edited' WHERE body = 'b5'")
    runs.roll_back(fresh(run), None, edited="leave")
    return work(run)


ENDS: dict[str, tuple[str, str, Callable[[World], Run]]] = {
    # what its line says -> what is done to the source before it, what happens to it
    "verified": ("stop", "", World.started),
    "verified, 6 rows quarantined": ("quarantine", BAD, World.started),
    "mismatch": ("stop", "", differing),
    "failed": ("stop", BAD, World.started),
    "cancelled": ("stop", "", cancelled),
    "rolled back": ("stop", "", lambda world: world.rolled_back(world.started())),
    "rolled back, but the proof found a difference": ("stop", "", unproved),
    "rolled back ": ("stop", "", left),
}


@pytest.mark.parametrize("words", ENDS)
def test_of_a_run_that_ended(new_world: NewWorld, admin_client: Client, words: str) -> None:
    on_error, before, end = ENDS[words]
    world, words = new_world("two"), words.strip()
    world.source(SOURCE + before)
    world.target(TARGET)
    world.define(MAPPING.format(on_error))
    run = end(world)
    said = json.loads(run_command("status", str(run.pk), "--format", "json").out)
    text, listed = run_command("status", str(run.pk)).out, run_command("list").out
    assert said["status"] == run.status
    assert f": {words} (" in text and f"  {words}  " in listed
    page = admin_client.get(f"/runs/{run.pk}/").content.decode()
    report = json.loads(b"".join(admin_client.get(f"/runs/{run.pk}/report.json")))
    for table in said["tables"]:
        assert shown(page, table["name"]) == [table[name] for name in COUNTS]
        assert printed(text, table["name"]) == [table[name] for name in ("source_rows", *COUNTS)]
    assert {**report, **said} == report
    if said["rows_per_second"] and run.status != "rolled_back":
        assert f'>{compact(said["rows_per_second"])}</span><span class="figure-label">rows/s' in page
    for address in ("/", "/runs/"):
        assert in_lines(admin_client.get(address).content.decode(), run) == {words}, address


def plain(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def shown(page: str, table: str) -> list[int]:
    """A table's counts in the page of the run."""
    rows = re.findall(r'<tr id="table-\d+">(.*?)</tr>', page, flags=re.DOTALL)
    row = next(row for row in rows if plain(row).startswith(f"{table} "))
    cells = (re.search(rf'data-label="{name.title()}">(.*?)</td>', row, flags=re.DOTALL) for name in COUNTS)
    return [int(plain(cell[1]).replace(",", "")) for cell in cells if cell]


def printed(text: str, table: str) -> list[int]:
    """A table's counts in the command's answer: as many as stand before what verification found."""
    line = next(line for line in text.splitlines() if line.startswith(f"{table} "))
    return [int(word.replace(",", "")) for word in line.split()[1:6]]


def in_lines(page: str, run: Run) -> set[str]:
    """What all lines of the page say of the run, in the command's words."""
    lines = [line for line in re.findall(r"<tr.*?</tr>", page, flags=re.DOTALL) if f"/runs/{run.pk}/" in line]
    found = set()
    for line in lines:
        word = run.status.replace("_", " ")
        assert word in plain(line)
        aside = re.search(r"([\d,]+) quarantined", plain(line))
        proof = "the proof found a difference" in plain(line)
        found.add(
            f"{word}, {aside[1]} rows quarantined"
            if aside
            else f"{word}, but the proof found a difference"
            if proof
            else word
        )
    return found
