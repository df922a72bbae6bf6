"""Digests of a range on both sides: the same where all rows agree, different for each thing that was seeded."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from jobs.engine.feed import Work
from jobs.engine.moving import compare
from jobs.engine.moving.compare import Compared, Keeping
from jobs.engine.sql import digest
from jobs.engine.sql.walks.chunk_range import Range
from migrator_site.embedded import Postgres
from tests.conftest import Databases, Pair
from tests.engine.rig import Rig
from tests.language.test_types import TYPES, VALUES, lit

STAGED = "SELECT count(*) FROM pg_class WHERE relname LIKE 'feed_verify%' AND relpersistence = 't'"


def travelled(rig: Rig) -> bool:
    """Whether rows had to be compared one by one, which needs a staging table."""
    row = rig.target.execute(STAGED).fetchone()
    return bool(row and row[0])


@pytest.fixture(scope="module", params=["18 to 18", "16 to 18"])
def sides(request: pytest.FixtureRequest, pg18: Postgres) -> Iterator[Pair]:
    """Two databases, of one version and of two."""
    source = pg18 if request.param == "18 to 18" else request.getfixturevalue("pg16")
    made = Databases(source)
    yield made.pair("two", target=pg18)
    made.drop()


@pytest.fixture
def far(sides: Pair) -> Iterator[Rig]:
    made = Rig(sides)
    yield made
    made.close()


@pytest.fixture
def typed(far: Rig) -> Rig:
    """Two rows of every type and one full of NULLs, copied."""
    columns = ", ".join(f"{name} {kind}" for name, (kind, _, _) in VALUES.items())
    rows = [", ".join(lit(value[place]) for value in VALUES.values()) for place in (1, 2)]
    far.old(TYPES % "'sad', 'very happy'" + f"CREATE TABLE item (id int PRIMARY KEY, {columns});"
            f" INSERT INTO item VALUES (1, {rows[0]}), (2, {rows[1]}); INSERT INTO item (id) VALUES (3)")  # fmt: skip
    far.new(TYPES % "'very happy', 'sad', 'new'" + f"CREATE TABLE item (id int PRIMARY KEY, {columns})")
    names = ", ".join(f"{name}: {name}" for name in ("id", *VALUES))
    far.ready(f"{{source: old.item, target: new.item, columns: {{{names}}}}}")
    far.copy()
    return far


def test_every_type_is_digested(typed: Rig) -> None:
    found = typed.compare()
    assert (found.agrees, found.source_rows, found.matched) == (True, 3, 3)
    assert not travelled(typed)


def test_a_swap_and_a_loss_are_found_in_every_type(typed: Rig) -> None:
    change = typed.target.execute
    change("SET search_path = new")
    change("CREATE TABLE kept AS TABLE item")
    for name in VALUES:
        change(f"UPDATE item SET {name} = o.{name} FROM item o WHERE o.id = 3 - item.id".encode())
        assert (name, typed.compare().different) == (name, 2)
        change(f"UPDATE item SET {name} = NULL WHERE id = 2".encode())
        assert (name, typed.compare().different) == (name, 2)
        change(f"UPDATE item SET {name} = k.{name} FROM kept k WHERE k.id = 1 AND item.id = 1".encode())
        assert (name, typed.compare().different) == (name, 1)
        change(f"UPDATE item SET {name} = k.{name} FROM kept k WHERE k.id = item.id".encode())
    assert typed.compare().agrees


NUMBERS = (
    "CREATE TABLE item (id bigint PRIMARY KEY, b bigint, n numeric, f float8, t text, c char(4), j jsonb)"
)
CHANGES = {
    "the sign": "n = -n",
    "a number whose hash is the same": "b = 4294967296",
    "nothing in the place of an empty text": "t = NULL",
    "a blank": "t = ' '",
    "another value": "j = '{}'",
}


@pytest.fixture
def numbers(rig_two: Rig) -> Rig:
    """A hundred rows, of which the seventh has 1, 1, 7, '' and 'ab'."""
    rig_two.old(f"{NUMBERS}; INSERT INTO item SELECT i, 1, i - 6, i, '', 'ab', '{{\"a\": 1.0}}'"
            " FROM generate_series(1, 100) i")  # fmt: skip
    rig_two.new(NUMBERS)
    rig_two.ready(
        "{source: old.item, target: new.item, columns: {id: id, b: b, n: n, f: f, t: t, c: c, j: j}}"
    )
    rig_two.copy()
    return rig_two


@pytest.mark.parametrize("change", CHANGES)
def test_what_hashes_of_values_or_texts_confuse_is_found(numbers: Rig, change: str) -> None:
    numbers.new(f"UPDATE item SET {CHANGES[change]} WHERE id = 7")
    found = numbers.compare()
    assert (found.different, [sample["key"] for sample in found.samples]) == (1, ["7"])


@pytest.mark.parametrize("change", ["n = 1.000", "f = '-0'", "j = '{\"a\": 1.00}'"])
def test_equal_in_another_form_is_equal(numbers: Rig, change: str) -> None:
    if change.startswith("f"):
        numbers.old("UPDATE item SET f = 0 WHERE id = 7")
    numbers.new(f"UPDATE item SET {change} WHERE id = 7")
    found = numbers.compare()
    assert (found.agrees, found.matched) == (True, 100)
    assert travelled(numbers)


def test_rows_travel_only_from_the_part_that_differs(numbers: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "PART_ROWS", 10)
    whole = compare.row_by_row
    parts = []

    def noted(work: Work, part: Range, keeping: Keeping | None) -> Compared:
        parts.append((part.low, part.high))
        return whole(work, part, keeping)

    monkeypatch.setattr(compare, "row_by_row", noted)
    numbers.new("UPDATE item SET n = 0 WHERE id = 37; DELETE FROM item WHERE id = 55")
    numbers.old("DELETE FROM item WHERE id = 100")
    found = numbers.compare()
    assert (found.source_rows, found.matched, found.missing, found.extra, found.different) == (
        99,
        98,
        1,
        1,
        1,
    )
    assert [sample["key"] for sample in found.samples] == ["37", "55", "100"]
    assert parts == [(("30",), ("40",)), (("50",), ("60",)), (("90",), None)]


def test_rows_are_looked_at_where_no_digest_can_be_made(
    numbers: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digest, "at_target", lambda *_: "SELECT record_send(1)")
    assert numbers.compare().matched == 100
    assert travelled(numbers)


def test_a_lock_is_not_taken_for_a_difference(numbers: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "row_by_row", None)
    numbers.target.execute("SET lock_timeout = '50ms'")
    with psycopg.connect(numbers.pair.target) as other:
        other.execute("LOCK TABLE new.item")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            numbers.compare()
    assert numbers.compare().agrees


def test_rows_in_the_quarantine_are_left_out(rig_two: Rig) -> None:
    rig_two.old(
        "CREATE TABLE item (id int PRIMARY KEY, t text); INSERT INTO item VALUES (1, '1'), (2, 'x'), (3, '3')"
    )
    rig_two.new("CREATE TABLE item (id int PRIMARY KEY, t int)")
    rig_two.ready("{source: old.item, target: new.item, columns: {id: id, t: t}}", "on_error: quarantine")
    assert rig_two.copy().quarantined == 1
    found = rig_two.compare()
    assert (found.agrees, found.matched) == (True, 2)


PEOPLE = """
CREATE TABLE team (id int PRIMARY KEY, name text);
INSERT INTO team VALUES (10, 'a'), (20, 'b');
CREATE TABLE person (id int PRIMARY KEY, team int, up int);
INSERT INTO person VALUES (1, 10, NULL), (2, 20, 1), (3, NULL, 2)
"""
CREW = """
CREATE TABLE crew (id serial PRIMARY KEY, name text);
INSERT INTO crew (name) VALUES ('ours');
CREATE TABLE member (id serial PRIMARY KEY, team int, up int)
"""
LINKED = """
{source: old.team, target: new.crew, columns: {name: name}}
{source: old.person, target: new.member, columns: {team: {from: team, ref: team}, up: {from: up, ref: person}}}
"""
POINTED = {
    "to another parent": "team = (SELECT id FROM crew WHERE name = 'b') WHERE source_table_id = 1",
    "to a parent that was there before": "team = (SELECT id FROM crew WHERE name = 'ours') WHERE source_table_id = 1",
    "to a parent instead of none": "team = (SELECT id FROM crew WHERE name = 'ours') WHERE source_table_id = 3",
    "to nowhere instead of none": "team = 999 WHERE source_table_id = 3",
    "to none": "up = NULL WHERE source_table_id = 2",
    "to itself": "up = id WHERE source_table_id = 3",
}


@pytest.fixture
def linked(rig_two: Rig) -> Rig:
    """Two parents and three children, with references to each other."""
    rig_two.old(PEOPLE)
    rig_two.new(CREW)
    rig_two.ready(LINKED)
    for name in ("team", "person"):
        rig_two.copy(rig_two.work(name))
    rig_two.link(rig_two.work("person"))
    return rig_two


def test_references_are_digested_as_the_keys_of_their_parents(linked: Rig) -> None:
    assert linked.compare(linked.work("person")).matched == 3
    assert not travelled(linked)


@pytest.mark.parametrize("pointed", POINTED)
def test_a_reference_that_points_elsewhere_is_found(linked: Rig, pointed: str) -> None:
    linked.new(f"UPDATE member SET {POINTED[pointed]}")
    assert linked.compare(linked.work("person")).different == 1


def test_a_parent_that_lost_its_link_is_found(linked: Rig) -> None:
    linked.new("UPDATE crew SET source_table_id = NULL WHERE name = 'b'")
    assert linked.compare(linked.work("person")).different == 1


def test_parents_known_to_the_map_alone_are_not_digested(rig_two: Rig) -> None:
    rig_two.old(PEOPLE)
    rig_two.new(CREW)
    rig_two.ready(LINKED.replace("new.crew,", "new.crew, existing: {match: [name], then: keep},"))
    rig_two.copy(rig_two.work("team"))
    work = rig_two.work("person")
    rig_two.copy(work)
    rig_two.link(work)
    assert not digest.digestible(rig_two.plan, work.table)
    assert rig_two.compare(work).matched == 3
