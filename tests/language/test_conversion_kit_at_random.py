"""The conversion kit on values made at random, held against what they were made from or a judge in Python."""

from __future__ import annotations

import hashlib
import html
import random
import unicodedata
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import psycopg

from mappings.expressions.parser import parse_expression
from mappings.sql import literal
from tests.conftest import Databases

Case = tuple[str, str, str]
"""An expression over v, the value, and what must come out: a text, NULL, or ! for an error."""

EACH = 60
BLANKS = " \t\n\u00a0\u2003\u200b\u3000"
LETTERS = "abc xyz äöüß éñ 漢字 😀 '\\ %"


def blanks(chance: random.Random) -> str:
    return "".join(chance.choices(BLANKS, k=chance.randrange(3)))


def amounts(chance: random.Random) -> Iterator[Case]:
    for _ in range(EACH):
        whole, places = chance.randrange(10 ** chance.randrange(1, 10)), chance.choice([0, 1, 2, 4])
        gap, point = chance.choice(
            [(",", "."), (".", ","), (" ", ","), ("'", "."), ("\u202f", ","), ("\u2009", ".")]
        )
        part = f"{chance.randrange(10**places):0{places}}" if places else ""
        text = f"{whole:,}".replace(",", gap) + (point + part if part else "")
        sign = chance.choice(["", "", "-", "−", "()"])
        money = chance.choice(["", "€", "$", "CHF ", "EUR "])
        text = (
            f"({money}{text})" if sign == "()" else chance.choice([sign + money + text, money + sign + text])
        )
        amount = Decimal(f"{whole}.{part or 0}")
        yield "money_amount(v)", blanks(chance) + text + blanks(chance), str(-amount if sign else amount)
    for wrong in ("NaN", "Infinity", "-inf", "0x1F", "1_000", "1 million", "2,5 Mio. €", "3k", "(1.00", "1.00)",
                  "5 EUR -", "1 2345", "١٢٣", "1e5x"):  # fmt: skip
        yield "money_amount(v)", wrong, "!"


def times(chance: random.Random) -> Iterator[Case]:
    for _ in range(EACH):
        seconds = chance.randrange(10**8, 10**10)
        unit = chance.choice([1, 1_000, 1_000_000, 1_000_000_000])
        when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
        yield "unix_time(v)", f"{blanks(chance)}{seconds * unit}", f"{when:%Y-%m-%d %H:%M:%S}+00"
    for wrong in (
        "NaN",
        "Infinity",
        "-Infinity",
        "inf",
        "1e400",
        "1e30",
        "0x10",
        "1_000",
        "1,5",
        "9" * 400,
        "1.2.3",
    ):
        yield "unix_time(v)", wrong, "!"
    yield from (("unix_time(v)", zero, "1970-01-01 00:00:00+00") for zero in ("0", "-0", "0.0", "+0"))


def dates(chance: random.Random) -> Iterator[Case]:
    forms = ("%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%d/%m/%Y", "%d %B %Y", "%B %d, %Y", "%d-%b-%Y", "%d-%b-%y", "%d.%m.%y",
             "%a, %d %b %Y %H:%M:%S +0000", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S.%f+02",
             "%d.%m.%Y %H:%M")  # fmt: skip
    for _ in range(EACH):
        form = chance.choice(forms)
        first = 1970 if "%y" in form else 1000
        days = (date(2069, 12, 31) - date(first, 1, 1)).days
        day = datetime(first, 1, 1, chance.randrange(24), chance.randrange(60)) + timedelta(
            chance.randrange(days)
        )
        yield "date_of(v, 'dmy')", blanks(chance) + day.strftime(form) + blanks(chance), f"{day:%Y-%m-%d}"
    for wrong in ("31.02.2020", "29.02.2019", "00.01.2020", "1.13.2020", "2020-02-30", "2024-00-00", "1.1.0",
    "10000-01-01",
                  "2024-04-03 10:00 BC", "2024-04-03T25:99", "infinity", "now", "today", "2024",
                  "1577836800"):  # fmt: skip
        yield "date_of(v, 'dmy')", wrong, "!"


def phones(chance: random.Random) -> Iterator[Case]:
    for _ in range(EACH):
        local = "".join(
            chance.choices("123456789", k=1) + chance.choices("0123456789", k=chance.randrange(6, 9))
        )
        start = chance.choice(["+49 ", "0049-", "+49 (0)", "0", "(0", "(+49) "])
        mark = chance.choice([" ", "-", "/", ".", "\u00a0", "\u2011", ""])
        text = start + local[:2] + (")" if start == "(0" else "") + mark + local[2:]
        yield "phone_number(v, '49')", text, f"+49{local}"
        extra = chance.choice([" ext. 7", " x7", ";7", "#7", ", 089 123456", " / 089 123456", "２"])
        yield "phone_number(v, '49')", text + extra, "!"
    yield from (("phone_number(v, '1')", given, meant) for given, meant in {
        "212-555-0100": "+12125550100", "1 212 555 0100": "+12125550100",
        "011 49 89 123456": "+4989123456", "5551234": "!",
    }.items())  # fmt: skip
    yield "phone_number(v, '49')", "49891234567", "!"  # with its code or without


def addresses(chance: random.Random) -> Iterator[Case]:
    for _ in range(EACH):
        name, place = (
            "".join(chance.choices("abcXYZäÖß用0.+_-", k=5)).strip(".") or "x",
            "".join(chance.choices("abcÄ例-", k=4)),
        )
        plain = f"{name}@{place}.org"
        text = chance.choice(["{}", "<{}>", "Ada <{}>", "mailto:{}", "MAILTO:{}?subject=x"]).format(plain)
        yield "email_address(v)", blanks(chance) + text + blanks(chance), plain.lower()
    for wrong in ("a@", "@b.c", "a@@b.c", "a b@c.d", "a@b.", "a@.b", "a@b..c", "A <a@b.c> <d@e.f>", "a@b\u200b.c", "<>",
                  "mailto:", "a@b.c, d@e.f"):  # fmt: skip
        yield "email_address(v)", wrong, "!"


def markup(chance: random.Random) -> Iterator[Case]:
    parts = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;", "&nbsp;", "&eacute;", "&Uuml;", "&ccedil;", "&euro;",
             "&iquest;",
             "&#x1F600;", "&#X10FFFD;", "&#x3b1;", "&#xe9;", "&#228;", "&#0345;", "&#64;", "&#92;", "u0041", "&#38;",
             "&#x26;",
             "amp;", "lt;", "\\", "'", "e\u0301", "a", " ", "😀", "&", ";", "#"]  # fmt: skip
    for _ in range(EACH * 4):
        text = "".join(chance.choices(parts, k=chance.randrange(1, 7)))
        meant = html.unescape(text) if _is_whole(text) else None
        if meant is not None:
            yield "html_text(v)", text, unicodedata.normalize("NFC", meant) if "&" in text else text
    for stays in (
        "&#xD83D;",
        "&#xDE00;",
        "&#0;",
        "&#x0;",
        "&#x110000;",
        "&#1114112;",
        "&#128512;",
        "&lt",
        "&#60",
        "&bogus;",
    ):
        yield "html_text(v)", stays, stays


def _is_whole(text: str) -> bool:
    """Whether each & begins an entity that ends in ;, by which a browser and we mean the same."""
    return all(
        ";" in rest[:10] and rest[0] in "#aleqngcUiu" for rest in text.split("&")[1:] if rest
    ) and not (text.endswith("&") or "&;" in text or "& " in text or "&&" in text)


def texts(chance: random.Random) -> Iterator[Case]:
    for _ in range(EACH):
        inner = "".join(chance.choices(LETTERS, k=9)).strip(" ") or "x"
        text = blanks(chance) + inner + chance.choice(["", "\u00ad", "\u200f", "\ufeff"]) + blanks(chance)
        yield "trim_blanks(v)", text, inner
        yield "squeeze_blanks(v)", text, " ".join(inner.split())
        yield "cut_at_word(v, 5)", inner, cut(inner, 5)
        yield "hash_of(v, 'p')", text, hashlib.sha256(f"p{text}".encode()).hexdigest()


def cut(text: str, size: int) -> str:
    if len(text) <= size:
        return text
    words = [text[:end] for end in range(1, size + 1) if text[end] == " " and text[end - 1] != " "]
    return words[-1] if words else text[:size]


def names(chance: random.Random) -> Iterator[Case]:
    for _ in range(EACH):
        first = " ".join(chance.choices(["Ada", "Jean-Luc", "José", "J.", "Ægir"], k=chance.randrange(1, 3)))
        last = chance.choice(["", "van ", "de la "]) + chance.choice(["Lovelace", "O'Neil", "Åström"])
        last += chance.choice(["", " Jr.", " III"])
        gap = chance.choice([" ", "\u00a0", "  "])
        for text in (f"{first}{gap}{last}", f"{last},{gap}{first}"):
            yield "first_name(v)", text, first
            yield "last_name(v)", text, last
    for text in ("King, Martin, Jr.", "Martin King, Jr."):
        yield "first_name(v)", text, "Martin"
        yield "last_name(v)", text, "King, Jr."


MADE: tuple[Callable[[random.Random], Iterator[Case]], ...] = (
    amounts, times, dates, phones, addresses, markup, texts, names,
)  # fmt: skip


def test_what_was_made_at_random_comes_out_as_it_was_made(databases: Databases) -> None:
    cases = [case for make in MADE for case in make(random.Random(make.__name__))]
    with psycopg.connect(databases.pair("one").source, autocommit=True) as session:
        session.execute("SET timezone = 'UTC'")
        wrong = list(refuted(session, cases))
    assert wrong[:40] == [] and len(cases) > 900


def refuted(session: psycopg.Connection, cases: list[Case]) -> Iterator[tuple[str, str, str, str]]:
    """The cases where something else came out, and what."""
    for number, expression in enumerate(dict.fromkeys(case[0] for case in cases)):
        sql = f"PREPARE e{number} (text) AS SELECT ({parse_expression(expression).sql})::text FROM (VALUES ($1)) t(v)"
        session.execute(sql.encode())
        for _, given, meant in (case for case in cases if case[0] == expression):
            try:
                ((value,),) = session.execute(f"EXECUTE e{number} ({literal(given)})".encode()).fetchall()
            except psycopg.DataError as error:
                value = f"! {error.diag.message_primary}"
            if not agrees(expression, found := "NULL" if value is None else str(value), meant):
                yield expression, given, meant, found


def agrees(expression: str, found: str, meant: str) -> bool:
    if meant == "!" or found.startswith("!"):
        return meant == found[:1]
    if expression.startswith("money"):
        return Decimal(found) == Decimal(meant)
    return found == meant
