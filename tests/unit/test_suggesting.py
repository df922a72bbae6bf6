"""What proposals are made of: words of names, shapes of values, casts, and the best assignment."""

from __future__ import annotations

import random
from itertools import permutations

import pytest

from mappings.expressions.parser import parse_expression
from mappings.suggesting import names, vocabulary
from mappings.suggesting.assignment import assign
from mappings.suggesting.casts import fit, respelled
from mappings.suggesting.profiles import Profile, affinity, profile
from mappings.suggesting.sides import Column, allowed_values


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("customerFirstName", ("customer", "first", "name")),
        ("CUST_NO", ("cust", "no")),
        ("XMLFile2", ("xml", "file", "2")),
        ("Geburts-Datum", ("geburts", "datum")),
        ("Straße", ("strasse",)),
        ("customercity", ("customer", "city")),  # glued, of known words
        ("xqzzyk", ("xqzzyk",)),  # not to be taken apart
        ("100%", ("100",)),
        ("年齢", ("年齢",)),
    ],
)
def test_a_name_is_cut_into_words(name: str, words: tuple[str, ...]) -> None:
    assert vocabulary.words_of(name) == words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("orders", "cust_no"), ("auftrag", "kundennummer")),
        (("people", "dob"), ("person", "birth_date")),
        (("a", "nachname"), ("b", "family_name")),
        (("a", "zip"), ("b", "code_postal")),
        (("t", "qty"), ("u", "cantidad")),
        (("users", "user_email"), ("accounts", "mail")),
        (("t", "tbl_created_dt"), ("u", "createdAt")),
        (("t", "runtime_ms"), ("u", "milliseconds")),
    ],
)
def test_names_that_mean_the_same_are_more_alike_than_others(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    ours, theirs = (names.of_columns(table, [name])[name] for table, name in (one, other))
    stranger = names.of_columns(other[0], ["shoe_size"])["shoe_size"]
    assert names.likeness(ours, theirs) > 0.6 > 0.3 > names.likeness(ours, stranger)
    assert names.likeness(ours, theirs) == names.likeness(theirs, ours)


def test_a_prefix_that_all_columns_share_says_nothing() -> None:
    ours = names.of_columns("t", ["qx_name", "qx_city", "qx_phone", "qx_zip"])
    theirs = names.of_columns("u", ["name", "city", "phone", "zip"])
    assert all(names.likeness(ours[f"qx_{name}"], found) == 1 for name, found in theirs.items())


def test_the_assignment_is_the_best_there_is() -> None:
    chance = random.Random(7)
    for _ in range(60):
        rows, columns = chance.randint(1, 5), chance.randint(1, 5)
        pairs = [(a, b) for a in range(rows) for b in range(columns) if chance.random() < 0.7]
        scores = {pair: chance.randint(1, 1000) / 1000 for pair in pairs}
        found = assign(scores)
        assert len(set(found.values())) == len(found)
        wide = max(rows, columns)
        best = max(
            sum(scores.get((a, b), 0.0) for a, b in enumerate(order)) for order in permutations(range(wide))
        )
        assert sum(scores[pair] for pair in found.items()) == pytest.approx(best)


CASTS = [
    ("timestamp without time zone", "date", "c::date"),
    ("date", "timestamp with time zone", "c::timestamp AT TIME ZONE 'UTC'"),
    ("integer", "boolean", "c <> 0"),
    ("integer", "text", "c::text"),
    ("text", "uuid", "c::uuid"),
    ("text[]", "jsonb", "to_jsonb(c)"),
    ("bigint", "smallint", None),
    ("text", "character varying", None),
]


@pytest.mark.parametrize(("source", "target", "expr"), CASTS)
def test_another_type_is_proposed_with_its_cast(source: str, target: str, expr: str | None) -> None:
    found = fit(column("c", source), column("t", target))
    assert found.expr == expr and found.quality > 0.4
    if expr:
        parse_expression(expr)


def test_units_in_names_become_factors() -> None:
    assert fit(column("price", "numeric"), column("price_cents", "integer")).expr == "(price * 100)::integer"
    assert fit(column("milliseconds", "integer"), column("duration", "interval")).expr == (
        "milliseconds * interval '1 millisecond'"
    )
    seen = profile(column("day", "integer"), ["20240131", "20231224"])
    assert fit(column("day", "integer"), column("d", "date"), seen).expr == "to_date(day::text, 'YYYYMMDD')"


def test_a_text_becomes_a_number_only_where_it_is_one() -> None:
    numbers = profile(column("c", "text"), ["1", "22"])
    words = profile(column("c", "text"), ["one", "two"])
    good, bad = (fit(column("c", "text"), column("t", "integer"), seen).quality for seen in (numbers, words))
    assert good > 0.8 > 0.2 > bad


def test_codes_are_respelled_as_the_target_wants_them() -> None:
    source = column("select", "text")
    assert respelled(source, ("g", "pg13"), ("g", "pg13", "r")) is None
    assert respelled(source, ("NEW", "DONE"), ("new", "done")) == 'lower("select")'
    assert respelled(source, ("A", "C"), ("active", "closed")) == (
        "case \"select\" when 'A' then 'active' when 'C' then 'closed' end"
    )
    assert respelled(source, ("A", "X"), ("active", "closed")) is None


def test_a_check_that_lists_values_is_read_and_another_is_not() -> None:
    listed = "CHECK ((state = ANY (ARRAY['active'::text, 'it''s'::text])))"
    assert allowed_values(listed) == ("active", "it's")
    assert allowed_values("CHECK (((a)::text = 'x'::text) OR ((a)::text = 'y'::text))") == ("x", "y")
    for other in (
        "CHECK ((email = lower(email)))",
        "CHECK ((code ~ '^[A-Z]=\\d$'::text))",
        "CHECK ((n > 0))",
    ):
        assert allowed_values(other) == ()


def test_values_speak_for_and_against() -> None:
    mails = texts("a@example.org", "b@example.org")
    assert affinity(mails, texts("x@example.com"), ())[0] > 0.5
    assert affinity(mails, texts("a long text about something"), ())[0] < 0
    codes = texts(*["new", "done"] * 10)
    assert affinity(codes, None, ("New", "Done", "Lost"))[0] > 0.8
    assert affinity(codes, texts(), ()) == (0.0, "")


def column(name: str, kind: str) -> Column:
    category = {"integer": "N", "numeric": "N"}.get(kind, "A" if kind.endswith("[]") else "S")
    return Column(name, kind, kind, category, cast=kind)


def texts(*values: str) -> Profile | None:
    return profile(column("c", "text"), list(values))
