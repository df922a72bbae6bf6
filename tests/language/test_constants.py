"""value: constants of every type."""

from __future__ import annotations

import datetime
from decimal import Decimal

from tests.language.feature import Feature

SOURCE = "CREATE TABLE item (id int PRIMARY KEY); INSERT INTO item VALUES (1), (2);"


def test_constants_of_every_type(feature: Feature) -> None:
    feature.given(SOURCE, """
CREATE TYPE mood AS ENUM ('sad', 'very happy');
CREATE TABLE thing (id int PRIMARY KEY, t text, v varchar(9), i int, b bigint, n numeric, m numeric(8, 3), f float8,
  yes boolean, empty text DEFAULT 'x', words text[], grid int[], maybe text[], doc jsonb, raw json, list jsonb,
  scalar jsonb, day date, at timestamptz, span interval, bytes bytea, mood mood, moods mood[], uid uuid, bits bit(3),
  period int4range, place point, net inet);
""", r"""
tables:
  - source: old.item
    target: new.thing
    columns:
      id: id
      t: {value: "it's %s \"so\" \\ {x}"}
      v: {value: "0049"}
      i: {value: -5}
      b: {value: 9223372036854775807}
      n: {value: 1.10}
      m: {value: "12.5"}
      f: {value: 0.1}
      yes: {value: true}
      empty: {value: null}
      words: {value: ["a b", "c,d", "e\"f", "", "null", "g\\h"]}
      grid: {value: [[1, 2], [3, 4]]}
      maybe: {value: [x, null]}
      doc: {value: {a: 1, b: [true, null, "ü"]}}
      raw: {value: {z: 1, a: 2}}
      list: {value: [1, {x: y}]}
      scalar: {value: '"text"'}
      day: {value: 2024-02-29}
      at: {value: "2024-02-29 12:00+02"}
      span: {value: "1 month 2 days"}
      bytes: {value: '\x00ff'}
      mood: {value: very happy}
      moods: {value: [sad, very happy]}
      uid: {value: 00000000-0000-0000-0000-00000000000a}
      bits: {value: "101"}
      period: {value: "[1,5)"}
      place: {value: "(1,2)"}
      net: {value: 10.0.0.1}
""")  # fmt: skip
    feature.check({
        "SELECT t, v, i, b, n, n::text, m, f, yes, empty FROM thing WHERE id = 1": [(
            "it's %s \"so\" \\ {x}", "0049", -5, 9223372036854775807, Decimal("1.10"), "1.10", Decimal("12.500"), 0.1,
            True, None)],
        "SELECT words, grid, maybe, doc, raw, list, scalar FROM thing WHERE id = 2": [(
            ["a b", "c,d", 'e"f', "", "null", "g\\h"], [[1, 2], [3, 4]], ["x", None],
            {"a": 1, "b": [True, None, "ü"]}, {"z": 1, "a": 2}, [1, {"x": "y"}], "text")],
        "SELECT day, at AT TIME ZONE 'UTC', span::text, bytes, mood::text, moods::text, uid::text, bits::text,"
        " period::text, place::text, net::text FROM thing WHERE id = 2": [(
            datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 29, 10), "1 mon 2 days", b"\x00\xff", "very happy",
            '{sad,"very happy"}', "00000000-0000-0000-0000-00000000000a", "101", "[1,5)", "(1,2)", "10.0.0.1/32")],
    })  # fmt: skip


def test_a_constant_that_is_not_of_the_columns_type_is_refused(feature: Feature) -> None:
    feature.given(SOURCE, "CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE thing (id int PRIMARY KEY, mood"
                          " mood, n int);",
                  "tables: [{source: old.item, target: new.thing,"
                  " columns: {id: id, mood: {value: glad}, n: {value: 1.5}}}]")  # fmt: skip
    assert "tables[0].columns.mood: " in feature.blockers()
    assert "tables[0].columns.n: " in feature.blockers()
