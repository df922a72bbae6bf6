"""Several table mappings that update rows of one target: the last one to write a row has the say."""

from __future__ import annotations

from jobs.actions import runs as actions
from tests.journeys.world import fresh, reported, work
from tests.language.feature import Feature

SOURCE = """
CREATE TABLE a (id int PRIMARY KEY, mail text, name text, phone text);
CREATE TABLE b (id int PRIMARY KEY, mail text, name text);
INSERT INTO a VALUES (1, 'ann@x', 'Ann A', NULL), (2, 'bob@x', 'Bob A', '1'), (3, 'ann@x', 'Ann A2', '9');
INSERT INTO b VALUES (1, 'bob@x', 'Bob B'), (2, 'cid@x', 'Cid B');
"""
TARGET = """
CREATE TABLE client (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mail text UNIQUE, name text, phone text);
INSERT INTO client (mail, name) VALUES ('ann@x', 'Ann own'), ('cid@x', 'Cid own');
"""
MAPPING = """
tables:
  - {name: a, source: old.a, target: new.client, existing: {match: [mail], then: update},
      columns: {mail: mail, name: name, phone: phone}}
  - {name: b, source: old.b, target: new.client, existing: {match: [mail], then: update},
      columns: {mail: mail, name: name}}
"""
NOTHING = {"a": (0, 0, 0, 0), "b": (0, 0, 0, 0)}
SHOWN = "SELECT mail, name, phone FROM client ORDER BY mail"
BOTH: list[tuple[object, ...]] = [
    ("ann@x", "Ann A2", "9"), ("bob@x", "Bob B", "1"), ("cid@x", "Cid B", None),
]  # fmt: skip


def test_the_last_in_order_is_what_is_compared_and_the_plan_says_so(feature: Feature) -> None:
    feature.given(SOURCE, TARGET, MAPPING)
    assert "tables[1].existing: a and b may fill the same row of new.client" in feature.warnings()
    assert "says what b says in mail, name" in feature.warnings()
    feature.check({SHOWN: BOTH}, counts={"a": (1, 2, 0, 0), "b": (0, 2, 0, 0)}, again=NOTHING)


def test_columns_that_only_the_first_fills_are_still_compared(feature: Feature) -> None:
    feature.given(SOURCE, TARGET, MAPPING)
    run = feature.verified()
    feature.target("UPDATE new.client SET phone = 'other', name = 'other' WHERE mail = 'bob@x'")
    actions.verify(fresh(run), None)
    run = work(run)
    assert run.status == "mismatch"
    assert {table.name: table.different for table in run.tables.all()} == {"a": 1, "b": 1}
    actions.repair(fresh(run), None)
    assert work(run).status == "verified"
    feature.expect({SHOWN: BOTH})


def test_a_later_run_of_the_first_has_the_say_until_it_is_rolled_back(feature: Feature) -> None:
    feature.given(SOURCE, TARGET, MAPPING)
    before = feature.state()
    first = feature.verified()
    feature.source("INSERT INTO old.a VALUES (4, 'cid@x', 'Cid A4', '4')")
    second = feature.verified()
    feature.expect({SHOWN: [*BOTH[:2], ("cid@x", "Cid A4", "4")]})
    assert feature.rolled_back(second).status == "rolled_back"
    feature.expect({SHOWN: BOTH})
    feature.source("DELETE FROM old.a WHERE id = 4")
    actions.verify(fresh(first), None)
    assert work(first).status == "verified"
    feature.undo(first)
    assert feature.state() == before


def test_rows_that_one_brought_and_another_updates(feature: Feature) -> None:
    """The first has no rows to look for, so that nothing but the second's says who wrote last."""
    mapping = MAPPING.replace("new.client, existing: {match: [mail], then: update},", "new.client,", 1)
    source = SOURCE.replace(", (3, 'ann@x', 'Ann A2', '9')", "")
    feature.given(source, TARGET.replace("('ann@x', 'Ann own'), ", ""), mapping)
    feature.check({SHOWN: [("ann@x", "Ann A", None), *BOTH[1:]]}, again=NOTHING)


def test_a_reference_that_is_filled_late_is_the_last_ones(feature: Feature) -> None:
    source = """
CREATE TABLE a (id int PRIMARY KEY, name text, up int);
CREATE TABLE b (id int PRIMARY KEY, name text, up int);
INSERT INTO a VALUES (1, 'x', 2), (2, 'y', 1);
INSERT INTO b VALUES (1, 'x', 2), (2, 'z', NULL);
"""
    key = "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
    tables = "".join(
        f"""
  - {{source: old.{name}, target: new.node, existing: {{match: [name], then: update}},
      columns: {{name: name, up: {{from: up, ref: {name}}}}}}}"""
        for name in "ab"
    )
    feature.given(
        source, f"CREATE TABLE node ({key}, name text, up bigint REFERENCES node)", f"tables:{tables}"
    )
    shown = "SELECT n.name, u.name FROM node n LEFT JOIN node u ON u.id = n.up ORDER BY 1"
    feature.check({shown: [("x", "z"), ("y", "x"), ("z", None)]}, again=NOTHING)


def test_what_another_mappings_rollback_took_is_not_missed(feature: Feature) -> None:
    one = "version: 1\nname: {0}\ntables: [{{source: old.{0}, target: new.client, columns: {{name: name}}, {1}}}]"
    feature.given(SOURCE, TARGET, MAPPING)
    feature.define(one.format("a", "link: {source_id: a_id}"))
    first = feature.verified()
    feature.define(one.format("b", "is_migrated: from_b, link: {source_id: b_id}"))
    second = feature.verified()
    assert feature.rolled_back(first).status == "rolled_back"
    actions.verify(fresh(second), None)
    second = work(second)
    told = "5 before - 3 rolled back since + 2 inserted = 4, found 4"
    assert second.status == "verified" and told in str(reported(second)[0]["checks"])
    feature.target("DELETE FROM new.client WHERE name = 'Cid own'")
    actions.verify(fresh(second), None)
    assert work(second).status == "mismatch"
