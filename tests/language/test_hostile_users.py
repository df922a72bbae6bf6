"""What our SQL means does not depend on what another user of the databases made."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client

from jobs.actions import rehearsals, runs
from tests.hostile import lay, maker, robbed, unlay
from tests.journeys.world import fresh, work
from tests.language.feature import Feature

SOURCE = """
CREATE TABLE region (code varchar(5) PRIMARY KEY, label varchar(20));
INSERT INTO region VALUES ('n', 'North'), ('s', 'South');
CREATE TABLE company (code varchar(10) PRIMARY KEY, name varchar(30), region varchar(5), boss varchar(10));
INSERT INTO company SELECT 'C' || n, 'Company ' || n, CASE n % 2 WHEN 0 THEN 'n' ELSE 's' END,
  CASE WHEN n > 1 THEN 'C' || n / 2 END FROM generate_series(1, 30) n;
CREATE TABLE person (shop varchar(5), number varchar(5), name varchar(30), company varchar(10),
  PRIMARY KEY (shop, number));
INSERT INTO person SELECT 's' || n % 3, n::text, 'Person ' || n, 'C' || n % 30 + 1 FROM generate_series(1, 60) n;
"""
TARGET = """
CREATE TABLE firm (id serial PRIMARY KEY, code varchar(10) UNIQUE, name varchar(60), region varchar(20),
  boss_id integer REFERENCES firm);
INSERT INTO firm (code, name) VALUES ('C7', 'seven'), ('X', 'not theirs');
CREATE TABLE human (id serial PRIMARY KEY, name varchar(60), firm_id integer REFERENCES firm);
"""
MAPPING = """
tables:
  - name: company
    source: old.company
    target: new.firm
    existing: {match: [code, "upper(code)"], then: update}
    columns:
      code: code
      name: {expr: "name || '!' || lower(region)"}
      region: {from: region, lookup: {table: old.region, key: code, value: label}}
      boss_id: {from: boss, ref: company}
  - name: person
    source: old.person
    alias: p
    joins: [{table: old.company, alias: c, condition: "c.code = p.company"}]
    where: "p.name <> 'Person 9' AND c.name LIKE 'Company%'"
    key: [p.shop, p.number]
    target: new.human
    columns: {name: p.name, firm_id: {from: p.company, ref: company}}
"""
FIRMS = (
    "SELECT code, f.name, region, (SELECT code FROM firm b WHERE b.id = f.boss_id) FROM firm f ORDER BY f.id"
)
HUMANS = "SELECT h.name, f.code FROM human h JOIN firm f ON f.id = h.firm_id ORDER BY length(h.name), h.name"


THIRD = "WHERE code::text = 'C3'::text"  # text, as everybody else's statements fall into the trap


def firms() -> list[tuple[object, ...]]:
    rows = {
        n: (
            f"C{n}",
            f"Company {n}!{'sn'[n % 2 == 0]}",
            ("South", "North")[n % 2 == 0],
            f"C{n // 2}" if n > 1 else None,
        )
        for n in range(1, 31)
    }
    in_order = sorted((n for n in rows if n != 7), key=lambda n: f"C{n}")
    return [rows[7], ("X", "not theirs", None, None), *(rows[n] for n in in_order)]


def humans() -> list[tuple[object, ...]]:
    return [(f"Person {n}", f"C{n % 30 + 1}") for n in range(1, 61) if n != 9]


@pytest.fixture
def watched(feature: Feature) -> Iterator[tuple[Feature, str]]:
    """A mapping over tables of a database in which a user laid traps in schema public, and that user."""
    name = maker()
    feature.given(SOURCE, TARGET, MAPPING, chunk_rows=7)
    lay(feature.pair, name, "new" if feature.one else "old")
    if not feature.one:
        feature.on(feature.pair.target, f"GRANT USAGE ON SCHEMA new TO {name}")
    yield feature, name
    unlay(feature.pair, name)


def test_operators_and_functions_of_others_change_nothing_and_take_nothing(
    watched: tuple[Feature, str], admin_client: Client
) -> None:
    """In a rehearsal, a look at real rows, a run with its verification, a repair and a rollback."""
    feature, name = watched
    before = feature.state()
    for table in feature.mapping.tables.all():
        rows = f"/admin/mappings/mapping/{feature.mapping.pk}/tables/{table.pk}/rows/"
        for chosen in ("", "null", "longest", "fails"):
            page = admin_client.get(rows, {"env": "local", "column": "name", "filter": chosen})
            assert "stolen" not in page.content.decode()
            assert chosen or table.name != "company" or "Company 1!s" in page.content.decode()
    report = rehearsals.rehearse(feature.mapping, feature.environment, None, rows=5).report
    assert (report["stopped"], report["failed"]) == ("", 0)
    run = feature.verified()
    feature.expect({HUMANS: humans(), FIRMS: firms()})
    feature.target(f"UPDATE new.firm SET name = 'spoiled' {THIRD}")
    runs.verify(fresh(run), None)
    assert work(run).status == "mismatch"
    runs.repair(fresh(run), None)
    assert work(run).status == "verified"
    feature.expect({HUMANS: humans(), FIRMS: firms()})
    runs.roll_back(fresh(run), None, force=True)
    assert work(run).status == "rolled_back"
    assert feature.state() == before
    assert robbed(feature.pair, name) == []
