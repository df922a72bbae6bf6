"""What no type tells and the target refuses all the same is in the plan: domains, checks, partitions, infinity."""

from __future__ import annotations

import pytest

from tests.planning.drawing import Board

TARGET = """
CREATE DOMAIN positive AS integer CHECK (VALUE > 0); CREATE DOMAIN small AS positive CHECK (VALUE % 1000 < 100);
CREATE DOMAIN word AS text CHECK (VALUE ~ '^[a-z]{1,3}$');
CREATE FUNCTION own(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE DOMAIN odd AS int CHECK (own(VALUE));
CREATE DOMAIN trap AS int CHECK (pg_backend_pid() > 0 AND VALUE > 0);
"""
RULES = {  # the source's type, its values, the target, what is told
    "a domain": ("int", "1, -3, -4, NULL", "(id int PRIMARY KEY, v positive)",
                 "2 values are refused by the domain new.positive, (VALUE > 0), for example -3, -4; source rows 2, 3"),
    "a domain over a domain": ("int", "1, 500, -1", "(id int PRIMARY KEY, v small)",
                               "1 values are refused by the domain new.small, (((VALUE)::integer % 1000) < 100), for"),
    "a larger whole number": ("bigint", "1, -3", "(id int PRIMARY KEY, v positive)",
                              "1 values are refused by the domain new.positive"),
    "a domain with braces": ("varchar(9)", "'ab', 'abcd'", "(id int PRIMARY KEY, v word)",
                             "1 values are refused by the domain new.word"),
    "a check": ("int", "1, -3", "(id int PRIMARY KEY, v int CONSTRAINT above CHECK (v > 0 AND id < 9))",
                "1 values are refused by the constraint above, ((v > 0) AND (id < 9)), for example 2, -3"),
    "a range": ("date", "'2024-05-01', '2025-05-01', NULL", "(id int, v date) PARTITION BY RANGE (v);"
                " CREATE TABLE one PARTITION OF thing FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')",
                "2 values belong to no partition of new.thing, for example 2025-05-01, NULL; source rows 2, 3"),
    "a list, of two levels": ("text", "'a', 'b', 'c'", "(id int, v text) PARTITION BY LIST (v);"
                              " CREATE TABLE one PARTITION OF thing FOR VALUES IN ('a');"
                              " CREATE TABLE two PARTITION OF thing FOR VALUES IN ('b') PARTITION BY RANGE (id);"
                              " CREATE TABLE three PARTITION OF two FOR VALUES FROM (5) TO (9)",
                              "2 values belong to no partition of new.thing, for example 2, b, 3, c; source rows 2, 3"),
    "infinity": ("numeric", "1, 'Infinity', 'NaN'", "(id int PRIMARY KEY, v numeric(8, 2))",
                 "1 values are no number that numeric(8,2) holds, for example Infinity; source row 2"),
    "infinite floats": ("float8", "1, '-Infinity', 'NaN'", "(id int PRIMARY KEY, v bigint)",
                        "2 values are no number that bigint holds, for example -Infinity, NaN; source rows 2, 3"),
}  # fmt: skip
FITS = {
    "a domain": ("int", "1, NULL", "(id int PRIMARY KEY, v positive)"),
    "a domain by a function of somebody's": ("int", "1", "(id int PRIMARY KEY, v odd)"),
    "a domain that does more than an expression may": ("int", "1, -2", "(id int PRIMARY KEY, v trap)"),
    "a check that does": ("int", "1, -2", "(id int PRIMARY KEY, v int CHECK (v > 0 AND"
                          " pg_backend_pid() > 0))"),
    "a text that a domain over numbers reads": ("text", "'1', 'x'", "(id int PRIMARY KEY, v positive)"),
    "a default partition": ("int", "1, 7", "(id int, v int) PARTITION BY LIST (v);"
                            " CREATE TABLE one PARTITION OF thing FOR VALUES IN (1);"
                            " CREATE TABLE other PARTITION OF thing DEFAULT"),
    "partitions by hash": ("int", "1, 7", "(id int, v int) PARTITION BY HASH (v);"
                           " CREATE TABLE one PARTITION OF thing FOR VALUES WITH (MODULUS 1, REMAINDER 0)"),
    "infinity without an end": ("numeric", "1, 'Infinity'", "(id int PRIMARY KEY, v numeric)"),
    "infinite floats": ("float4", "1, 'Infinity'", "(id int PRIMARY KEY, v float8)"),
}  # fmt: skip
MAPPING = "{source: old.item, target: new.thing, columns: {id: id, v: v}}"


def warned(board: Board, kind: str, values: str, target: str, mapping: str = MAPPING) -> list[str]:
    """What the plan warns of."""
    rows = "".join(f"({place}, {value})," for place, value in enumerate(values.split(", "), start=1)).rstrip(
        ","
    )
    board.given(
        f"CREATE TABLE item (id int PRIMARY KEY, v {kind}); INSERT INTO item VALUES {rows}",
        f"{TARGET} CREATE TABLE thing {target}",
    )
    plan = board.plan(mapping, "on_error: quarantine\nwiden: false")
    assert plan.blockers == ()
    return [warning.text for warning in plan.warnings]


@pytest.mark.parametrize("rule", RULES)
def test_rows_that_a_rule_of_the_target_refuses_are_named(board: Board, rule: str) -> None:
    *given, told = RULES[rule]
    said = warned(board, *given)
    assert [text for text in said if text.startswith(told)], said


@pytest.mark.parametrize("rule", FITS)
def test_rows_that_fit_are_not(board: Board, rule: str) -> None:
    said = warned(board, *FITS[rule])
    assert not [text for text in said if "refused" in text or "belong" in text or "no number that" in text]


def test_a_constant_is_asked_without_a_row(board: Board) -> None:
    mapping = MAPPING.replace("v: v", "v: {value: -5}")
    (told,) = warned(board, "int", "1, 2", "(id int PRIMARY KEY, v positive)", mapping)
    assert told.startswith("2 values are refused by the domain new.positive, (VALUE > 0), for example -5")


def test_what_a_trigger_may_change_is_not_held_against_a_check(board: Board) -> None:
    trigger = (
        "CREATE FUNCTION mend() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.v := 1; RETURN NEW; END';"
        "CREATE TRIGGER mend BEFORE INSERT ON thing FOR EACH ROW EXECUTE FUNCTION mend()"
    )
    said = warned(board, "int", "1, -2", f"(id int PRIMARY KEY, v int CHECK (v > 0)); {trigger}")
    assert not [text for text in said if "refused" in text]
