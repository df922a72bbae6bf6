"""The conversion kit: what each conversion makes of a value, and a run with some of them."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from mappings.conversions.kit import OFFERED
from mappings.expressions.parser import ExpressionError, parse_expression
from mappings.sql import literal
from mappings.studio.completion import completions
from tests.conftest import Databases
from tests.language.feature import Feature, recipe

CONVERTED = {
    "trim_blanks": ["\u3000a\u00a0b\ufeff|a\u00a0b", "   |"],
    "squeeze_blanks": ["\ta \u2003 b |a b"],
    "first_name": [
        "Ada|Ada", "Lovelace, Ada  King|Ada King", "Jan van der Berg|Jan", "van Gogh|NULL", "|NULL",
        "Martin Luther King, Jr.|Martin Luther",
    ],
    "last_name": [
        "Ada|NULL", "Lovelace, Ada King|Lovelace", "Jan van der Berg|van der Berg", "van Gogh|van Gogh",
        "Sammy Davis Jr.|Davis Jr.", "Martin Luther King, Jr.|King, Jr.", "O'Neil, |O'Neil",
    ],
    "email_address": [
        " ADA@Example.org |ada@example.org", "mailto:a@b.c|a@b.c", '"Doe, J." <J.Doe@x.io>|j.doe@x.io', "|NULL",
        "nobody|!no e-mail address: nobody", "a@b.c; d@e.f|!no e-mail address: a@b.c; d@e.f",
    ],
    "html_text": [
        "a &lt; b &amp;amp; c|a < b &amp; c",
        "Stra&szlig;e M&uuml;ller|Straße Müller", "it&#39;s &#x20ac;5\\n|it's €5\\n",
        "&unknown; R&D|&unknown; R&D", "&amp;lt;|&lt;", "&#xE9;|é",
    ],
    "money_amount": [
        "1234|1234", "1,234.50|1234.50", "1.234,50 €|1234.50", "$1,234,567|1234567", "(12.00)|-12.00", "1 234,5|1234.5",
        "CHF 1'234.05|1234.05", "-12|-12", "12,5-|-12.5", "Rs. 1,00,000.50|100000.50", "12,- EUR|12", "0.125|0.125",
        "1.234|1234", "0,125|0.125", "€ -5|-5", "1234,5|1234.5", ".5|0.5", "1.234.567,8|1234567.8", " |NULL",
        "12 of 15|!12 of 15", "1.2.3|!1.2.3", "free|!free", "12 15|!12 15", "12345.678|12345.678",
        "USD 1\u00a0000|1000",
        "1,23,45|!1,23,45", "NaN|!NaN", "--1|!--1", "−−1|!−−1", "−7|-7",
    ],
    "yes_or_no": ["Yes|true", " N |false", "wahr|true", "0|false", "|NULL", "maybe|!maybe"],
    "unix_time": ["1700000000|2023-11-14 22:13:20+00", "1700000000123|2023-11-14 22:13:20.123+00", "|NULL",
                  "soon|!soon"],
}  # fmt: skip
DATES = {
    "dmy": [
        "2024-03-04|2024-03-04", "20240304|2024-03-04", "3/4/2024|2024-04-03", "3.4.24|2024-04-03",
        "4. März 2024|2024-03-04",
        "Dec 24, 1999|1999-12-24", "24th December 1999|1999-12-24", "31-DEC-1999|1999-12-31", "3/4/71|1971-04-03",
        "2024-03-04T10:00:00Z|2024-03-04", "3.4.2024 10:00|2024-04-03", "0000-00-00 00:00:00|NULL", "|NULL",
        "2024-13-01|!2024-13-01", "31.02.2024|!2024-02-31", "today|!no date", "4 Foo 2024|!2024-foo-4",
        "J2451187|!no date: j2451187",
        "infinity|!no date: infinity",
    ],
    "mdy": ["3/4/2024|2024-03-04", "31.12.2024|2024-12-31", "13/1/2024|!2024-13-1"],
    "ymd": ["3/4/2024|!no date: neither dmy nor mdy: 3 4 2024", "2024-03-04|2024-03-04"],
}  # fmt: skip
"""By conversion: the value, and what comes out; ! an error that quotes it."""


def said(session: psycopg.Connection, expression: str, given: str) -> str:
    """What an expression over a column v makes of a text: as text, NULL, or the error."""
    sql = f"SELECT ({parse_expression(expression).sql})::text FROM (VALUES ({literal(given)}::text)) t(v)"
    try:
        ((found,),) = session.execute(sql.encode()).fetchall()
    except psycopg.DataError as error:
        return f"error: {error.diag.message_primary}"
    return "NULL" if found is None else str(found)


def test_each_conversion_makes_of_a_value_what_its_row_says_or_an_error_that_quotes_it(
    databases: Databases,
) -> None:
    cases = [(f"{name}(v)", case) for name, found in CONVERTED.items() for case in found]
    cases += [(f"date_of(v, '{order}')", case) for order, found in DATES.items() for case in found]
    cases += [
        ("cut_at_word(v, 9)", f"{given}")
        for given in ("one two three|one two", "one two|one two", "abcdefghijk|abcdefghi")
    ]
    cases += [("cut_at_word(v, -1)", "abc|"), ("cut_at_word(v, 0)", "abc|")]
    phones = ("+49 (0)89 123456|+4989123456", "089/123 456|+4989123456", "0049-89-123456|+4989123456", "|NULL",
              "call me|!no telephone number: call me", "12|!no telephone number: 12")  # fmt: skip
    cases += [("phone_number(v, '49')", case) for case in phones]
    cases += [("phone_number(v, '1')", "1 (555) 123-4567|+15551234567"), ("join_name(v, ' b')", " a|a b")]
    hashed = "08c2e548dcbb43ee03421d56a90b2044bd7e84f1e8a8695f01e82dc46bab174f"
    cases += [("hash_of(v, 's')", f"é|{hashed}"), ("hash_of(v, 's')", " |NULL")]
    with psycopg.connect(databases.pair("one").source, autocommit=True) as session:
        session.execute("SET timezone = 'UTC'")
        wrong = []
        for expression, case in cases:
            given, _, wanted = case.rpartition("|")
            found = said(session, expression, given)
            refused = wanted.startswith("!") and found.startswith("error")
            if found != wanted and not (refused and wanted.removeprefix("!") in found):
                wrong.append((expression, given, wanted, found))
        for macro in OFFERED:
            if (found := said(session, macro.example, "")) != macro.gives:
                wrong.append((macro.example, "", macro.gives, found))
    assert wrong == []


def test_conversions_are_offered_and_described_and_called_as_they_are_written() -> None:
    page = (Path(__file__).parents[2] / "docs" / "conversions.md").read_text()
    offered = {found["show"]: found["note"] for found in completions(None, ())["functions"]}
    for macro in OFFERED:
        assert macro.about in offered[macro.signature] and macro.example in offered[macro.signature]
        assert f"| `{macro.signature}` |" in page and f"`{macro.example}`" in page
    with pytest.raises(ExpressionError, match=r"date_of is called as date_of\(value, day_order\)"):
        parse_expression("date_of(born)")
    with pytest.raises(ExpressionError, match="gets too long here"):
        parse_expression("phone_number(phone_number(phone_number(phone_number(a, '1'), '1'), '1'), '1')")


def test_rows_arrive_converted_and_one_that_cannot_be_is_set_aside(feature: Feature) -> None:
    feature.given(
        source="""
        CREATE TABLE person (id int PRIMARY KEY, name text, born text, paid text, active text);
        INSERT INTO person VALUES (1, 'Byron, Ada', '10/12/1815', '1.234,50 €', 'ja'), (2, 'Plato', '', '', 'NO'),
            (3, 'Max Frisch', 'some day', '1', '1')""",
        target="""
        CREATE TABLE person
            (id int PRIMARY KEY, first text, last text, born date, paid numeric, active boolean)""",
        mapping=recipe("conversions.md")[0].partition("name: ")[2].partition("\n")[2],
    )
    assert "first_name" not in feature.plan().text().partition('"structure"')[0]
    there = feature.check(
        {
            "SELECT id, first, last, born::text, paid::text, active FROM person ORDER BY id": [
                (1, "Ada", "BYRON", "1815-12-10", "1234.50", True),
                (2, "Plato", None, None, "0", False),
            ]
        },
        {"person": (2, 0, 0, 1)},
        {"person": (0, 0, 0, 1)},
    )
    assert feature.target(
        f"SELECT DISTINCT column_name, message FROM migrator.quarantine WHERE run >= {there.pk}"
    ) == [("born", 'invalid input syntax for type date: "no date: some day"')]
