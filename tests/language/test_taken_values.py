"""Columns whose values depend on those that are taken: the next free text, the next number of a list."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from jobs.actions import repairs, runs
from jobs.models import Chunk, Run
from mappings.language.canonical import dump
from mappings.language.file import parse
from mappings.problems import Refused
from tests.journeys.world import fresh, work
from tests.language.feature import Feature, explained

HEADING = "The next free code, and the next place in a list"

LOGINS = "SELECT login FROM account WHERE is_migrated ORDER BY source_table_id"
SLUGS = "SELECT slug FROM page ORDER BY source_table_id"
PLACES = "SELECT source_table_id, position FROM item ORDER BY 1"
GIVEN: dict[str, list[tuple[object, ...]]] = {
    LOGINS: [("ada-3",), ("Ada-4",), ("bob",), (None,), ("ada-2",)],
    SLUGS: [("home",), ("home-2",), ("home",), ("introduction",), ("introducti-2",)],
    PLACES: [(1, 3), (2, 1), (3, 1), (4, 2)],
}


def test_texts_and_numbers_are_the_next_free_ones_there_and_back_and_there_again(feature: Feature) -> None:
    feature.given_recipe(HEADING)
    feature.chunk_rows = 1
    said = "source rows say what is taken by rows before them or by rows that are there, and get the suffix -{n}:"
    assert feature.warnings().splitlines()[:2] == [
        f"tables[0].columns.login: 2 {said} 1 (ada), 2 (Ada)",
        f"tables[1].columns.slug: 2 {said} 2 (home), 5 (introduction)",
    ]
    feature.check(GIVEN)


TREE = """
tables:
  - source: old.node
    target: new.node
    columns:
      parent: {from: parent, ref: node}
      name: {from: name, unique: {suffix: " ({n})", within: [parent]}}
      place: {number: {within: [parent], order_by: "name DESC"}}
"""
NODES = "SELECT source_table_id, name, place FROM node WHERE is_migrated ORDER BY 1"


def test_places_below_parents_of_the_same_table_follow_those_that_are_there(feature: Feature) -> None:
    feature.given(
        """CREATE TABLE node (id int PRIMARY KEY, parent int, name text);
        INSERT INTO node VALUES (1, NULL, 'a'), (2, NULL, 'b'), (3, 1, 'x'), (4, 1, 'y'), (5, 1, 'x'), (6, 5, 'x')""",
        """CREATE TABLE node (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, parent int REFERENCES node, name text,
            place smallint, UNIQUE (parent, name), UNIQUE (parent, place));
        INSERT INTO node (name, place) VALUES ('a', 7)""",
        TREE,
    )
    first = [(1, "a (2)", 9), (2, "b", 8), (3, "x", 2), (4, "y", 1), (5, "x (2)", 3), (6, "x", 1)]
    feature.check({NODES: first}, again={"node": (0, 0, 0, 0)})
    feature.source("INSERT INTO old.node VALUES (0, 1, 'x'), (7, 1, 'z'), (8, NULL, 'a')")
    feature.brings({NODES: [(0, "x (3)", 5), *first, (7, "z", 4), (8, "a (3)", 10)]})


CROWD = """
tables:
  - source: old.a
    target: new.a
    columns:
      list: list
      code: {from: code, unique: {suffix: "-{n}"}}
      place: {number: {within: [list], order_by: "id DESC"}}
"""
GIVEN_TO_ALL = "SELECT source_table_id, code, place FROM a WHERE is_migrated ORDER BY 1"


def worked_by(run: Run, name: str) -> None:
    """Works on a run in a thread of its own."""
    try:
        work(run, name)
    finally:
        connections.close_all()


def test_two_workers_give_what_one_gives(feature: Feature) -> None:
    feature.given(
        "CREATE TABLE a (id int PRIMARY KEY, list int, code text);"
        " INSERT INTO a SELECT n, n % 3, 'x' || n % 7 FROM generate_series(1, 210) n",
        "CREATE TABLE a (id serial PRIMARY KEY, list int, code text UNIQUE, place int, UNIQUE (list, place));"
        " INSERT INTO a (list, code, place) VALUES (0, 'x0-2', 9), (1, 'x1', 1)",
        CROWD,
        chunk_rows=10,
    )
    alone = feature.verified()
    given = feature.target(f"SET search_path = new; {GIVEN_TO_ALL}")
    assert [given[n - 1] for n in (7, 14)] == [(7, "x0", 69), (14, "x0-3", 66)] and given[-1][2] == 10
    feature.undo(alone)
    feature.target(  # so that the first worker is not done before the second begins
        "CREATE FUNCTION new.rest() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN PERFORM pg_sleep(0.05); RETURN NULL; END';"
        " CREATE TRIGGER rest AFTER INSERT ON new.a EXECUTE FUNCTION new.rest()"
    )
    run = feature.start()
    run.tables.update(chunk_rows=10)
    with ThreadPoolExecutor(2) as pool:
        for ended in [pool.submit(worked_by, run, name) for name in ("one", "two")]:
            ended.result()
    assert work(run).status == "verified", explained(fresh(run))
    copied = Chunk.objects.filter(table__run=run, phase="copy").values_list("worker", flat=True).distinct()
    assert len({worker.partition(":")[0] for worker in copied}) == 2, "one of them did nothing"
    feature.expect({GIVEN_TO_ALL: given})


PEOPLE = """
on_error: quarantine
tables:
  - source: old.person
    target: new.person
    existing: {match: [email], then: update}
    columns:
      email: email
      login: {from: login, unique: {suffix: "-{n}"}}
"""
LOGINS_BY_EMAIL = "SELECT email, login FROM person ORDER BY email"


def test_rows_that_are_there_keep_their_values_and_what_changes_is_given_anew(feature: Feature) -> None:
    feature.given(
        """CREATE TABLE person (id int PRIMARY KEY, email text, login text);
        INSERT INTO person VALUES (1, 'a@', 'ann'), (2, 'b@', 'ann'), (3, 'c@', 'bob'), (4, 'c@', 'bob'),
            (5, 'd@', 'bob')""",
        """CREATE TABLE person (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text, login varchar(5) UNIQUE);
        INSERT INTO person (email, login) VALUES ('a@', 'anna'), ('z@', 'ann')""",
        PEOPLE,
    )
    run = feature.check(
        {LOGINS_BY_EMAIL: [("a@", "anna"), ("b@", "ann-2"), ("c@", "bob"), ("d@", "bob-2"), ("z@", "ann")]},
        {"person": (3, 2, 0, 0)},
        again={"person": (0, 0, 0, 0)},
    )
    feature.source(
        "UPDATE old.person SET login = 'bob' WHERE id = 2; INSERT INTO old.person VALUES (0, 'e@', 'bob')"
    )
    runs.verify(fresh(run), None)
    assert work(run).status == "mismatch"
    repairs.repair(fresh(run), None)
    assert work(run).status == "verified", explained(fresh(run))
    feature.expect({
        "SELECT login FROM person WHERE email IN ('b@', 'e@') ORDER BY email": [("bob-4",), ("bob-3",)]
    })  # fmt: skip


def test_two_table_mappings_of_one_target_share_what_is_taken(feature: Feature) -> None:
    feature.given(
        """CREATE TABLE a (id int PRIMARY KEY, code text); INSERT INTO a VALUES (1, 'x'), (2, 'x');
        CREATE TABLE b (id int PRIMARY KEY, code text); INSERT INTO b VALUES (1, 'x'), (2, 'y')""",
        "CREATE TABLE thing (id serial PRIMARY KEY, code char(3) UNIQUE, number numeric(9, 0))",
        """
tables:
  - source: old.a
    target: new.thing
    columns: {code: {from: code, unique: {suffix: "{n}"}}, number: {number: {after: 9}}}
  - source: old.b
    target: new.thing
    columns: {code: {from: code, unique: {suffix: "{n}"}}, number: {number: {after: 9}}}
""",
    )
    feature.check({"SELECT code FROM thing ORDER BY 1": [("x  ",), ("x2 ",), ("x3 ",), ("y  ",)],
                   "SELECT number::int FROM thing ORDER BY 1": [(10,), (11,), (12,), (13,)]})  # fmt: skip


def test_a_row_for_which_nothing_is_left_is_set_aside_and_says_so(feature: Feature) -> None:
    feature.given(
        """CREATE TABLE item (id int PRIMARY KEY, code text, size text);
        INSERT INTO item SELECT n, 'abc', n FROM generate_series(1, 10) n;
        INSERT INTO item VALUES (11, 'abcd', '1'), (12, 'new', 'large')""",
        "CREATE TABLE item (id serial PRIMARY KEY, code varchar(3) UNIQUE, size int, place int)",
        """
widen: false
on_error: quarantine
tables:
  - source: old.item
    target: new.item
    columns:
      code: {from: code, unique: {suffix: "-{n}"}}
      size: {expr: "size::int"}
      place: {number: {order_by: "id DESC"}}
""",
    )
    codes = [("abc",), *((f"a-{n}",) for n in range(2, 10))]
    feature.check(
        {"SELECT code FROM item ORDER BY source_table_id": codes,
         "SELECT min(place), max(place) FROM item": [(4, 12)]},
        {"item": (9, 0, 0, 3)},
    )  # fmt: skip
    assert feature.target(
        "SELECT source_key, column_name, message FROM migrator.quarantine ORDER BY source_key::int"
    ) == [
        ("10", "code", "abc is taken, and so is every number that code has room for in 3 characters"),
        ("11", "code", "value too long for type character varying(3)"),
        ("12", "size", 'invalid input syntax for type integer: "large"'),
    ]
    feature.source("UPDATE old.item SET code = 'own', size = '7' WHERE id > 9")
    feature.brings({"SELECT code, place FROM item WHERE source_table_id > 9 ORDER BY place DESC": [
        ("own", 3), ("o-2", 2), ("o-3", 1),
    ]})  # fmt: skip


def test_what_is_wrong_with_such_a_column_is_said_where_it_stands(feature: Feature) -> None:
    text = (
        "version: 1\nname: m\ntables:\n  - {source: a, target: b, columns: {d: d, e: {number: {}}, c: {%s}}}"
    )
    for says, said in {
        "from: c, unique: {suffix: x}": "unique.suffix: Needs {n} once, where the number goes, such as -{n}: without",
        "from: c, unique: {}": "unique.suffix: Is missing.",
        "unique: {suffix: '{n}'}": ": Needs exactly one of from, expr and value; it has none of them.",
        "value: c, unique: {suffix: '{n}'}": "unique: Cannot stand beside value.",
        "from: c, number: {}": "number: Is all that fills the column; leave from out.",
        "number: {after: first}": "number.after: Must be existing, or the whole number before the first.",
        "number: {within: d}": "number.within: Must be a list of target columns such as [account_id]",
        "number: {within: [z]}": 'number.within: "z" is no mapped column of this table mapping.',
        "number: {within: [e]}": 'number.within: "e" depends itself on what is taken.',
        "number: {order_by: 'random()'}": "number.order_by: ",
    }.items():
        with pytest.raises(Refused) as refused:
            parse(text % says)
        assert str(refused.value.problems[0]).startswith(f"tables[0].columns.c.{said}".replace(".:", ":"))
    spec = parse(text % "number: {within: [d], order_by: 'd DESC, e', after: existing}")
    assert parse(dump(spec)) == spec
    feature.given(
        "CREATE TABLE a (id int PRIMARY KEY, parent int, t text)",
        "CREATE TABLE b (id int PRIMARY KEY, parent int, t text, short varchar(2), n int, d date, p int)",
        """
tables:
  - source: old.a
    target: new.b
    existing: {match: [t], then: keep}
    columns:
      id: id
      parent: {from: parent, ref: a}
      t: {from: t, unique: {suffix: "{n}"}}
      short: {from: t, unique: {suffix: "-{n}"}}
      n: {from: id, unique: {suffix: "-{n}"}}
      p: {number: {within: [parent]}}
      d: {number: {order_by: "a.nothing"}}
""",
    )
    found = {line.split(": ", 1)[0]: line.split(": ", 1)[1] for line in feature.blockers().splitlines()}
    assert {path.removeprefix("tables[0].columns."): text[:60] for path, text in found.items()} == {
        "t": "rows are found in the target by this very column (existing.match)"[:60],
        "short": "short holds 2 characters, which the suffix alone fills: make"[:60],
        "n": "n is integer; only a text can get a suffix",
        "d": "d is date, which cannot be numbered",
        "p": "within parent it cannot be told what is taken: parent refers to rows"[:60],
        "d.number.order_by": "there is no source column a.nothing",
    }
