"""What is typed in the studio is what the mapping file would say: column by column, question by question."""

from __future__ import annotations

from typing import Any

import pytest

from mappings.language.canonical import canonical
from mappings.language.file import parse
from mappings.models import TableMapping
from mappings.problems import Refused
from mappings.studio.column_form import (
    constant_of,
    constant_text,
    filling_of,
    how_of,
    more_of,
    more_text,
    taken_fields,
    text_of,
)
from mappings.studio.settings_form import QUESTIONS, listed, names_text

pytestmark = pytest.mark.unit

NAMES = frozenset({"name", "user", "a b", "c.id", "company_id", " odd"})


@pytest.mark.parametrize(
    ("typed", "filling"),
    [
        ("name", {"from": "name"}),
        ("user", {"from": "user"}),
        ("a b", {"from": "a b"}),
        ('"a b"', {"from": "a b"}),
        (" odd", {"from": " odd"}),
        ("c.id", {"from": "c.id"}),
        ("name, user", {"from": ["name", "user"]}),
        (" lower(name) ", {"expr": "lower(name)"}),
        ("nothing", {"expr": "nothing"}),
        ("  ", None),
    ],
)
def test_what_is_typed_is_a_column_or_an_expression(typed: str, filling: dict[str, Any] | None) -> None:
    assert filling_of({"text": typed}, None, NAMES) == filling


def test_a_reference_stays_when_only_what_is_looked_up_is_typed_anew() -> None:
    current = {"name": "account_id", "from": "company_id", "ref": "company", "missing": "null"}
    assert filling_of({"text": "nullif(company_id, 0)"}, current, NAMES) == {
        "expr": "nullif(company_id, 0)",
        "ref": "company",
        "missing": "null",
    }
    assert filling_of({"text": "company_id", "how": "expr"}, current, NAMES) == {"from": "company_id"}
    given = {"text": "name", "how": "ref", "ref_table": "staff", "ref_column": "no", "missing": "what"}
    assert filling_of(given, current, NAMES) == {"from": "name", "ref": {"table": "staff", "column": "no"}}
    given = {
        "text": "name",
        "how": "lookup",
        "lookup_table": "region",
        "lookup_key": "id",
        "lookup_value": "",
    }
    assert filling_of(given, None, NAMES) == {"from": "name", "lookup": {"table": "region", "key": "id"}}
    assert filling_of({"how": "value", "value": "12"}, current, NAMES) == {"value": 12}
    assert filling_of({"how": "default", "text": "name"}, current, NAMES) is None


@pytest.mark.parametrize(
    "constant",
    [
        None,
        True,
        12,
        "12",
        "",
        " a",
        "legacy",
        "null",
        "no",
        "1.10",
        "[a",
        "a\nb",
        [1, "1"],
        {"a": None},
        '"',
    ],
)
def test_constants_survive_their_field(constant: object) -> None:
    assert constant_of(constant_text(constant)) == constant


def test_a_constant_that_is_no_json_is_refused() -> None:
    with pytest.raises(Refused, match="must be JSON"):
        constant_of("[a")


@pytest.mark.parametrize(
    "names", [[], ["a"], ["a b", "c"], [" a"], ["[x"], ["a\nb", "c"], [""], ["a,b", "c"]]
)
def test_names_survive_their_field(names: list[str]) -> None:
    assert listed(names_text(names)) == names


FILE = r"""
version: 1
name: shop
tables:
  - name: people
    source: customer
    alias: c
    joins:
      - {table: address, alias: a, condition: "a.id = c.id", type: left}
      - {table: address, alias: b, condition: "b.id = a.id\n AND true"}
    where: "c.id > 0"
    key: [id]
    target: client
    existing: {match: [name, "lower(note)"], then: keep}
    link: {source_id: false, map: false, backref: {column: new_id, foreign_key: true}}
    triggers: [counted, "a,b"]
    columns: {name: c.name}
  - source: address
    key: [id, "a,b"]
    distinct: true
    order_by: "id\ndesc"
    target: place
    link: {source_id: [x, "y,z"]}
    is_migrated: false
    columns: {street: street}
  - {source: plain, key: content, target: t, is_migrated: flag, columns: {a: b}}
  - source: bare
    target: t2
    alias: b
    joins: [{unnest: b.phones, alias: p, ordinality: n}]
    link: {source_id: one}
    triggers: off
    columns:
      a: {from: a, ref: {by: "lower(kind)", of: {person: people, plain: {table: plain, column: c}}, else: "null"}}
      b: {from: b, ref: [people, plain], missing: quarantine}
      c: {from: c, ref: people, each: true, missing: drop}
      d: {expr: "trim(d)", ref: people, split: /, missing: keep}
      e: {from: e, ref: {table: plain, column: c}, pattern: '@(\d+)'}
      f: {from: f, refs: [{path: $.owner, ref: people}, {path: "$.all[*]", ref: plain, missing: drop}]}
      g: {expr: "lower(a)", unique: {suffix: "-{n}", within: [a, b]}}
      h: {number: {within: [a], order_by: "c DESC, d"}}
      i: {number: {after: 99}}
"""


def test_a_column_sent_back_as_it_is_shown_says_the_same() -> None:
    (*_, table) = canonical(parse(FILE))["tables"]
    for column in table["columns"]:
        filling = {key: value for key, value in column.items() if key != "name"}
        ref = filling.get("ref")
        simple = (
            {"table": ref}
            if isinstance(ref, str)
            else ref
            if isinstance(ref, dict) and "table" in ref
            else {}
        )
        fields = {f"ref_{key}": simple.get(key, "") for key in ("table", "column")}
        sent = {
            "text": text_of(filling),
            "how": how_of(filling),
            "missing": filling.get("missing", ""),
            **fields,
            **(taken_fields(filling) if how_of(filling) == "taken" else {}),
        }
        names = frozenset({"a", "b", "c", "e", "f"})
        assert filling_of({**sent, "more": more_text(filling)}, filling, names) == filling
        sent = {
            key: value for key, value in sent.items() if key not in ("how", *taken_fields({}))
        }  # the plain input
        assert filling_of(sent, filling, names) == filling
    with pytest.raises(Refused, match=r"More, as in the file: write a mapping such as"):
        filling_of({"text": "a", "how": "ref", "more": "[a, b]"}, None, frozenset({"a"}))


@pytest.mark.parametrize("number", range(4))
def test_each_question_answers_what_the_file_says(number: int) -> None:
    """Every form, sent back as it is shown, changes nothing."""
    values = canonical(parse(FILE))["tables"][number]
    for keys, show, read in QUESTIONS.values():
        fields = show(values)
        sent = {key: value for key, value in fields.items() if isinstance(value, str)}
        sent |= {key: "1" for key, value in fields.items() if value is True}
        for at, join in enumerate(fields.get("joins", ())):
            sent |= {f"join-{at}-{part}": text for part, text in join.items()}
        answered = read(sent)
        assert {key: answered.get(key) for key in keys} == {key: values.get(key) for key in keys}


def test_a_name_is_the_sources_unless_one_is_given() -> None:
    assert TableMapping(values={"source": 'legacy."Weird Name"'}).name == "Weird Name"
    assert TableMapping(values={"source": "a b", "name": "x"}).name == "x"


def test_numbers_with_a_fraction_are_kept_as_they_were_written() -> None:
    assert more_of("{ref: [1.50, {a: 2.0}], missing: 2}") == {"ref": ["1.50", {"a": "2.0"}], "missing": 2}
    assert (constant_of("1.50"), constant_text("1.50")) == ("1.50", "1.50")
