"""Keys that are equal without being spelled alike, and keys with a collation of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.conftest import Databases
from tests.language.feature import Feature


@pytest.fixture(params=["one", "two"])
def feature15(
    request: pytest.FixtureRequest, databases15: Databases, transactional_db: None
) -> Iterator[Feature]:
    """On Debian's PostgreSQL 15, with citext and ICU on both sides."""
    with closing(Feature(databases15.pair(request.param))) as made:
        for side in dict.fromkeys(made.pair):
            made.on(side, "CREATE EXTENSION citext")
        yield made


TARGET = """
CREATE TABLE p (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text);
CREATE TABLE c (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, p_id bigint NOT NULL REFERENCES p, nr int);
"""
MAPPING = """
tables:
  - {source: old.p, target: new.p, link: {%s}, columns: {name: name}}
  - {source: old.c, target: new.c, link: {%s}, columns: {p_id: {from: code, ref: p}, nr: id}}
"""
SHOWN = "SELECT nr, name FROM c JOIN p ON p.id = p_id ORDER BY nr"
BY_ID, BY_MAP = "source_id: source_table_id", "source_id: false"


def source(kind: str, parents: dict[str, str], children: list[str], before: str = "") -> str:
    keys = ", ".join(f"('{key}', '{name}')" for key, name in parents.items())
    codes = ", ".join(f"({number}, '{code}')" for number, code in enumerate(children, start=1))
    return f"""
{before}
CREATE TABLE p (code {kind} PRIMARY KEY, name text); INSERT INTO p VALUES {keys};
CREATE TABLE c (id int PRIMARY KEY, code {kind} REFERENCES p); INSERT INTO c VALUES {codes}"""


@pytest.mark.parametrize("link", [BY_ID, BY_MAP, "map: false"])
@pytest.mark.parametrize("collation", ["pg_catalog.ucs_basic", 'pg_catalog."C"'])
def test_a_text_key_with_a_collation_of_its_own(feature: Feature, link: str, collation: str) -> None:
    """There, there again, and back without force."""
    feature.given(
        source(f"text COLLATE {collation}", {"k1": "one", "k2": "two"}, ["k2", "k1", "k2"]),
        TARGET,
        MAPPING % (link, link),
    )
    feature.check({SHOWN: [(1, "two"), (2, "one"), (3, "two")]}, again={"p": (0, 0, 0, 0), "c": (0, 0, 0, 0)})


def test_parents_and_children_and_targets_of_different_collations(feature: Feature) -> None:
    feature.given(
        source('text COLLATE "ucs_basic"', {"k1": "one", "k2": "two"}, ["k2", "k1"])
        + '; ALTER TABLE c DROP CONSTRAINT c_code_fkey, ALTER code TYPE text COLLATE "C"',
        TARGET.replace("name text", 'name text COLLATE "C", code text COLLATE "C" UNIQUE')
        + "INSERT INTO p (code, name) VALUES ('k1', 'there')",
        """
tables:
  - {source: old.p, target: new.p, existing: {match: [code], then: update}, columns: {name: name, code: code}}
  - {source: old.c, target: new.c, columns: {p_id: {from: code, ref: p}, nr: id}}
""",
    )
    feature.check({SHOWN: [(1, "two"), (2, "one")]}, again={"p": (0, 0, 0, 0), "c": (0, 0, 0, 0)})


EQUAL = {
    "interval": ({"1 mon": "month", "2 days": "days"}, ["30 days", "48:00:00"]),
    "float8": ({"0": "nought", "1.5": "more"}, ["-0", "1.5"]),
}


@pytest.mark.parametrize("kind", EQUAL)
def test_built_in_types_by_their_own_equality(feature: Feature, kind: str) -> None:
    """By a source id of the key's type; the map has texts, so there the plan says which rows would be lost."""
    parents, children = EQUAL[kind]
    first, second = parents.values()
    feature.given(source(kind, parents, children), TARGET, MAPPING % (BY_ID, BY_ID))
    feature.check({SHOWN: [(1, first), (2, second)]}, again={"p": (0, 0, 0, 0), "c": (0, 0, 0, 0)})
    feature.define(f"version: 1\nname: other\n{MAPPING % (BY_MAP, BY_MAP)}")
    assert "tables[1].columns.p_id: " in feature.blockers()
    assert "rows refer to rows of p by keys that are equal but spelled otherwise" in feature.blockers()


LOOSE = "CREATE COLLATION IF NOT EXISTS old.loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"


@pytest.mark.parametrize(("kind", "before"), [("citext", ""), ("text COLLATE old.loose", LOOSE)])
def test_keys_that_are_equal_in_either_case(feature15: Feature, kind: str, before: str) -> None:
    """In one database by the type's own equality; across two they travel as texts, so the plan refuses."""
    if not feature15.one:
        feature15.target("CREATE SCHEMA IF NOT EXISTS old")
    made = source(kind, {"Abc": "one", "XYZ": "two"}, ["ABC", "xyz", "Abc"], before)
    feature15.given(made.replace("citext", "public.citext"), TARGET, MAPPING % (BY_ID, BY_ID))
    if feature15.one:
        feature15.check(
            {SHOWN: [(1, "one"), (2, "two"), (3, "one")]}, again={"p": (0, 0, 0, 0), "c": (0, 0, 0, 0)}
        )
        return
    text = "2 rows refer to rows of p by keys that are equal but spelled otherwise, for example"
    assert f"tables[1].columns.p_id: {text} ABC for Abc, xyz for XYZ" in feature15.blockers()
    feature15.source("UPDATE old.c SET code = p.code FROM old.p WHERE p.code = c.code")
    feature15.check({SHOWN: [(1, "one"), (2, "two"), (3, "one")]})


@pytest.mark.parametrize("kind", ["public.citext", "text COLLATE loose"])
def test_the_next_free_text_is_free_by_the_column_s_own_equality(feature15: Feature, kind: str) -> None:
    feature15.given(
        """CREATE TABLE member (id int PRIMARY KEY, login text);
           INSERT INTO member VALUES (1, 'Ann'), (2, 'ANN'), (3, 'ann'), (4, 'bob'), (5, 'Eve')""",
        f"""CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
            CREATE TABLE person (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, login {kind} UNIQUE);
            INSERT INTO person (login) VALUES ('BOB')""",
        """tables: [{source: old.member, target: new.person,
                     columns: {login: {from: login, unique: {suffix: "-{n}"}}}}]""",
    )
    logins = [("Ann",), ("ANN-2",), ("ann-3",), ("bob-2",), ("Eve",)]
    shown = "SELECT login::text FROM person WHERE is_migrated ORDER BY source_table_id"
    feature15.check({shown: logins})
