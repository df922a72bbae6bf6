"""Rows that a unique index of the target would refuse are named before the start."""

from __future__ import annotations

from typing import Literal

import pytest

from tests.conftest import Databases
from tests.journeys.world import execute
from tests.planning.drawing import Board

MAP = "{source: old.item, target: new.thing, columns: {code: %s}}"
ROWS = "INSERT INTO item VALUES (1, 'a'), (2, 'A'), (3, 'b'), (4, 'a'), (5, NULL), (6, NULL), (7, 'there'), (8, 'B')"
ITEM = f"CREATE TABLE item (id int PRIMARY KEY, code text); {ROWS}"
THERE = "INSERT INTO thing (code) VALUES ('there'), ('else')"
FOLDS = "CREATE COLLATION folds (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"

CASES = {
    "code text UNIQUE": (
        "2 source rows collide with each other in the target's unique index thing_code_key: rows 1 and 4",
        "1 source rows collide in the target's unique index thing_code_key with rows that are there: source rows 7",
    ),
    "code text); CREATE UNIQUE INDEX one ON thing (lower(code)": (
        "5 source rows collide with each other in the target's unique index one: rows 1 and 2 and 4; 3 and 8",
        "1 source rows collide in the target's unique index one with rows that are there: source rows 7",
    ),
    "code text); CREATE UNIQUE INDEX one ON thing (code) WHERE (code > 'b'": (
        "1 source rows collide in the target's unique index one with rows that are there: source rows 7",
    ),
    "code text UNIQUE NULLS NOT DISTINCT": (
        "4 source rows collide with each other in the target's unique index thing_code_key: rows 1 and 4; 5 and 6",
        "1 source rows collide in the target's unique index thing_code_key with rows that are there: source rows 7",
    ),
    "code text, other int, UNIQUE (code, other)": (),
}  # fmt: skip


@pytest.mark.parametrize("column", CASES)
def test_rows_that_collide_are_named(board: Board, column: str) -> None:
    board.given(ITEM, f"CREATE TABLE thing (id serial PRIMARY KEY, {column}); {THERE}")
    plan = board.plan(MAP % "code")
    assert [str(warning) for warning in plan.warnings] == [
        f"tables[0].columns.code: {text}" for text in CASES[column]
    ]
    assert plan.blockers == ()


@pytest.mark.parametrize("layout", ["one", "two"])
def test_a_collation_that_folds(databases15: Databases, layout: Literal["one", "two"]) -> None:
    """Two databases need not have the same collations, and then nobody can tell."""
    board = Board(databases15.pair(layout))
    board.given(ITEM, f"{FOLDS}; CREATE TABLE thing (id serial PRIMARY KEY, code text COLLATE folds UNIQUE)")
    (warning,) = board.plan(MAP % "code").warnings
    told = "thing_code_key: rows 1 and 2 and 4; 3 and 8"
    untold = "thing_code_key is not known before the copy: the source has no such collation"
    assert (told if layout == "one" else untold) in warning.text


LOOSELY = {  # the source's column and the target's: (among themselves, with rows that are there)
    ("old.citext", "new.citext"): ("rows 1 and 2 and 4; 3 and 8", "source rows 7"),
    ("text", "new.citext"): ("rows 1 and 2 and 4; 3 and 8", "source rows 7"),
}  # fmt: skip


@pytest.mark.parametrize("layout", ["one", "two"])
def test_texts_that_are_equal_in_either_case(databases15: Databases, layout: Literal["one", "two"]) -> None:
    """By the operators of the type that the index is over, wherever its extension lies."""
    pair = databases15.pair(layout)
    for (source, target), (together, with_them) in LOOSELY.items():
        board = Board(pair)
        schema = "old" if layout == "one" else "new"
        execute(pair.source, "CREATE EXTENSION citext SCHEMA old")
        if layout == "two":
            execute(pair.target, "CREATE EXTENSION citext SCHEMA new")
        board.given(ITEM.replace("code text", f"code {source}"), "SELECT 1")
        column = f"code {target.replace('new', schema)} UNIQUE"
        there = THERE.replace("'there'", "'THERE'")
        board.given("SELECT 1", f"CREATE TABLE thing (id serial PRIMARY KEY, {column}); {there}")
        said = [warning.text for warning in board.plan(MAP % "code").warnings]
        assert [
            text.rpartition(": ")[2] if "there" in text else text.partition(": ")[2] for text in said
        ] == [
            together,
            with_them,
        ], (source, target, said)


def test_rows_of_this_mapping_are_no_collision(board: Board) -> None:
    board.given(ITEM.replace(", (4, 'a')", ""), "CREATE TABLE thing (id serial PRIMARY KEY, code text UNIQUE,"
                " is_migrated bool NOT NULL DEFAULT true); " + THERE)  # fmt: skip
    assert board.plan(MAP % "code").warnings == ()


QUIET = {
    "the source's own key": ("code text PRIMARY KEY", "(code text UNIQUE, id serial)", MAP % "code"),
    "a key of the source in a wider index": (
        "id int PRIMARY KEY, code text", "(a bigint, code text, UNIQUE (code, a))",
        "{source: old.item, target: new.thing, columns: {a: id, code: code}}"),
    "rows that are meant to meet": (
        "id int PRIMARY KEY, code text", "(id serial PRIMARY KEY, code text UNIQUE)",
        "{source: old.item, target: new.thing, existing: {match: [code], then: keep}, columns: {code: code}}"),
    "rows of which one is taken": (
        "code text, id int", "(id serial PRIMARY KEY, code text UNIQUE)",
        "{source: old.item, key: [code], distinct: true, order_by: id, where: code <> '', target: new.thing,"
        " columns: {code: code}}"),
    "a value made by the target": (
        "id int PRIMARY KEY, code text", "(id serial PRIMARY KEY, code text, nr int UNIQUE)", MAP % "code"),
}  # fmt: skip


@pytest.mark.parametrize("why", QUIET)
def test_nothing_is_said_of(board: Board, why: str) -> None:
    source, target, table = QUIET[why]
    rows = "(code) VALUES ('a')" if "code text PRIMARY" in source else "(id, code) VALUES (1, 'a'), (2, 'a')"
    board.given(f"CREATE TABLE item ({source}); INSERT INTO item {rows}", f"CREATE TABLE thing {target}")
    assert board.plan(table).warnings == ()
