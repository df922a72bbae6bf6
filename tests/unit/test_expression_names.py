"""The names of relations as an operator writes them, and how names are quoted."""

from __future__ import annotations

import pytest

from mappings.expressions.parser import ExpressionError, RelationName, parse_relation, quote_identifier


@pytest.mark.parametrize(
    ("text", "schema", "name", "sql"),
    [
        ("customer", None, "customer", '"customer"'),
        (" Legacy.Customer ", "legacy", "customer", '"legacy"."customer"'),
        ('cd."Weird Name"', "cd", "Weird Name", '"cd"."Weird Name"'),
        ('"Verein"."group"', "Verein", "group", '"Verein"."group"'),
        ('"a.b"', None, "a.b", '"a.b"'),
        ('"a""b"', None, 'a"b', '"a""b"'),
        ("public.order", "public", "order", '"public"."order"'),
        ("Straße", None, "straße", '"straße"'),
    ],
)
def test_a_relation(text: str, schema: str | None, name: str, sql: str) -> None:
    assert parse_relation(text) == RelationName(schema, name)
    assert parse_relation(text).sql == sql


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 1),
        (" ", 2),
        ("a.b.c", 5),
        ("a.", 3),
        (".a", 1),
        ("a b", 3),
        ("a; drop table b", 2),
        ("order", 1),
        ("'a'", 1),
        ("a.'b'", 3),
        ("a-b", 2),
        ("a --", 3),
        ("1a", 1),
        ('"a', 1),
        ("a" * 64, 1),
        ("a." + "b" * 64, 3),
        ("a\x00", 2),
        ("(select 1)", 1),
    ],
)
def test_a_refused_relation(text: str, position: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_relation(text)
    assert caught.value.position == position


def test_names_are_quoted() -> None:
    assert [quote_identifier(name) for name in ("a", 'a"b', "Ä b")] == ['"a"', '"a""b"', '"Ä b"']
