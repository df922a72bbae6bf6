"""Definitions over another column: what is called like the column, and is something else, stays."""

from __future__ import annotations

import pytest

from mappings.schema.rename import renamed, renamed_index
from mappings.sql import verbatim

EXPRESSIONS = [
    ("v", """CHECK ((v > 0) AND ("V" <> v) AND (x.v = 'v''v') AND (v.x = v(v::v)) AND (a = ANY (ARRAY[v])))""",
     """CHECK ((w > 0) AND ("V" <> w) AND (x.v = 'v''v') AND (v.x = v(w::v)) AND (a = ANY (ARRAY[w])))"""),
    ("zone", "CHECK ((zone > '2020-01-01 00:00:00'::timestamp(3) without time zone))",
     "CHECK ((w > '2020-01-01 00:00:00'::timestamp(3) without time zone))"),
    ("varying", "CHECK (((varying)::character varying(9) <> ''::varying.varying))",
     "CHECK (((w)::character varying(9) <> ''::varying.varying))"),
    ('"precision"', 'CHECK ((("precision")::double precision <> (3)::double precision))',
     "CHECK (((w)::double precision <> (3)::double precision))"),
    ('"C"', """CHECK (((label > 'a'::text COLLATE "C") AND ("C" > 0) AND (b > c COLLATE x."C")))""",
     """CHECK (((label > 'a'::text COLLATE "C") AND (w > 0) AND (b > c COLLATE x."C")))"""),
    ("year", "CHECK ((EXTRACT(year FROM year) > f(year => (year)::numeric)))",
     "CHECK ((EXTRACT(year FROM w) > f(year => (w)::numeric)))"),
    ("day", "CHECK ((d < (a)::interval day to second(3) AND day > 0))",
     "CHECK ((d < (a)::interval day to second(3) AND w > 0))"),
    ('"AND"', 'CHECK (("AND" > 0) AND (id > 0))', "CHECK ((w > 0) AND (id > 0))"),
    ("v", " MATCH FULL ON DELETE SET NULL (v, a) DEFERRABLE", " MATCH FULL ON DELETE SET NULL (w, a) DEFERRABLE"),
    ("v", '"x REFERENCES v", v', '"x REFERENCES v", w'),
]  # fmt: skip
INDEXES = [
    ("btree (lower(v) text_pattern_ops DESC NULLS LAST, v) INCLUDE (a, v) WHERE (v > 3)",
     "btree (lower(w) text_pattern_ops DESC NULLS LAST, w) INCLUDE (a, w) WHERE (w > 3)"),
    ("gist (a v, ((v + 1)) COLLATE v v (v='3', b=v), v.f(v, g(v)) v.v) WITH (v='50', f=off) WHERE (v IS NULL)",
     "gist (a v, ((w + 1)) COLLATE v v (v='3', b=v), v.f(w, g(w)) v.v) WITH (v='50', f=off) WHERE (w IS NULL)"),
    ("""v ("WITH", "a(", v) NULLS NOT DISTINCT""", """v ("WITH", "a(", w) NULLS NOT DISTINCT"""),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new"), EXPRESSIONS)
def test_expressions_and_lists(name: str, old: str, new: str) -> None:
    assert renamed(old, name, verbatim("w")) == new


@pytest.mark.parametrize(("old", "new"), INDEXES)
def test_indexes(old: str, new: str) -> None:
    assert renamed_index(old, "v", verbatim("w")) == new
