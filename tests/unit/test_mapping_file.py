"""The mapping file: what it means, what is refused and where, and that dump and parse are inverse."""

from __future__ import annotations

import random
import string

import pytest

from mappings.language.canonical import canonical, canonical_json, dump, file_form, from_canonical, sha256
from mappings.language.file import MAX_BYTES, parse
from mappings.language.spec import Column, Existing, Join, Link, Lookup, MappingSpec, Ref, Table
from mappings.language.written import written_at_once
from mappings.problems import Refused

HEAD = "version: 1\nname: m\ntables:\n"
TABLE = HEAD + "  - source: legacy.customer\n    target: crm.client\n"
COLUMNS = TABLE + "    columns:\n"


def refusal(text: str | bytes) -> dict[str, str]:
    """The problems of a refused file, by path."""
    with pytest.raises(Refused) as caught:
        parse(text)
    return {problem.path: problem.text for problem in caught.value.problems}


def column(text: str) -> Column:
    return parse(COLUMNS + f"      a: {text}\n").tables[0].columns[0]


FULL = r"""
version: 1
name: crm-merge
description: Legacy CRM into the new one
widen: false
on_error: quarantine
max_quarantined: 7
tables:
  - name: customer
    source: legacy.customer
    alias: c
    joins:
      - {table: legacy.address, alias: a, condition: "a.id = c.address_id", type: left}
    where: "c.deleted = 0"
    key: [c.id]
    distinct: true
    order_by: "c.id"
    target: crm.client
    existing:
      match: [code, "lower(name)"]
      then: update
    link:
      source_id: old_id
      map: false
      backref: new_id
    is_migrated: done
    columns:
      full_name: c.name
      email: {expr: "lower(c.email)"}
      origin: {value: legacy}
      region: {from: c.region_id, lookup: {table: legacy.region, key: id, value: label}}
      parent_id: {from: c.parent_id, ref: customer}
      owner_id: {expr: "nullif(c.owner, 0)", ref: {table: customer, column: no}, missing: "null"}
"""


def test_every_part_of_a_file_is_read() -> None:
    columns = (
        Column("full_name", from_=("c.name",)),
        Column("email", expr="lower(c.email)"),
        Column("origin", value="legacy", has_value=True),
        Column("region", from_=("c.region_id",), lookup=Lookup("legacy.region", "id", "label")),
        Column("parent_id", from_=("c.parent_id",), ref=Ref("customer")),
        Column("owner_id", expr="nullif(c.owner, 0)", ref=Ref("customer", "no"), missing="null"),
    )
    table = Table(
        name="customer",
        source="legacy.customer",
        alias="c",
        joins=(Join("legacy.address", "a", "a.id = c.address_id", "left"),),
        where="c.deleted = 0",
        key=("c.id",),
        distinct=True,
        order_by="c.id",
        target="crm.client",
        existing=Existing(("code", "lower(name)"), "update"),
        link=Link(("old_id",), False, "new_id"),
        is_migrated="done",
        columns=columns,
    )
    about = "Legacy CRM into the new one"
    assert parse(FULL) == MappingSpec("crm-merge", (table,), about, False, "quarantine", 7)


def test_defaults_written_out_make_the_same_mapping() -> None:
    short = COLUMNS + "      a: x\n"
    written = HEAD.replace(
        "tables", "widen: true\non_error: stop\nmax_quarantined: 1000\ndescription: ''\ntables"
    )
    long = written + (
        "  - name: customer\n    source: legacy.customer\n    alias: null\n    joins: []\n    where: null\n"
        "    distinct: false\n    target: crm.client\n    existing: null\n    is_migrated: is_migrated\n"
        "    link: {map: true, backref: null}\n    columns: {a: {from: [x]}}\n"
    )
    assert sha256(parse(short)) == sha256(parse(long))
    assert canonical_json(parse(long)) == (
        '{"name":"m","tables":[{"columns":[{"from":"x","name":"a"}],"source":"legacy.customer",'
        '"target":"crm.client"}],"version":1}'
    )


def test_a_byte_order_mark_and_windows_lines_make_no_difference() -> None:
    plain = COLUMNS + "      a: x\n"
    assert parse(("\ufeff" + plain.replace("\n", "\r\n")).encode()) == parse(plain)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True), ("False", False), ("yes", "yes"), ("no", "no"), ("on", "on"), ("y", "y"),
        ("null", None), ("~", None), ("", None), ('"null"', "null"), ("'12'", "12"),
        ("12", 12), ("-3", -3), ("0", 0), ("007", "007"), ("+49123", "+49123"), ("-0", "-0"),
        ("0x1F", "0x1F"), ("0o17", "0o17"), ("1_000", "1_000"), ("12:30:45", "12:30:45"),
        ("1.10", "1.10"), ("1e5", "1e5"), (".5", ".5"), (".inf", ".inf"), (".nan", ".nan"),
        ("2024-01-01", "2024-01-01"), ("2024-01-01T10:00:00Z", "2024-01-01T10:00:00Z"),
        ("=", "="), ("<<", "<<"), ("99999999999999999999", 99999999999999999999),
        ("[1, [a, null]]", (1, ("a", None))), ("{a: 1.5, b: {c: [true]}}", {"a": 1.5, "b": {"c": (True,)}}),
        ("{r: 1e300}", {"r": 10**300}), ("{no: 1, 1: no}", {"no": 1, "1": "no"}),
    ],
)  # fmt: skip
def test_constants_are_what_yaml_1_2_says(written: str, value: object) -> None:
    spec = parse(COLUMNS + f"      a: {{value: {written}}}\n")
    found = spec.tables[0].columns[0]
    assert (found.has_value, found.value, type(found.value)) == (True, value, type(value))
    assert parse(dump(spec)) == spec == from_canonical(canonical(spec))


@pytest.mark.parametrize(
    "name", ["no", "null", "1", "1.5", "true", "~", "<<", "2024-01-01", "a b", "Straße", "100%"]
)
def test_a_key_is_always_its_text(name: str) -> None:
    spec = parse(COLUMNS + f"      {name}: x\n")
    assert spec.tables[0].columns[0].name == name
    assert parse(dump(spec)) == spec


def test_a_name_without_joins_may_contain_a_dot() -> None:
    assert column("c.name").from_ == ("c.name",)


def test_link_and_flag_can_be_switched_off() -> None:
    table = parse(
        TABLE + "    link: {source_id: false}\n    is_migrated: false\n    columns: {a: x}\n"
    ).tables[0]
    assert (table.link.source_id, table.is_migrated) == ((), None)


def test_key_content_is_the_word_and_a_list_is_columns() -> None:
    by_word = parse(TABLE + "    key: content\n    columns: {a: x}\n").tables[0]
    by_name = parse(TABLE + "    key: [content]\n    columns: {a: x}\n").tables[0]
    assert (by_word.key, by_word.key_is_content) == (None, True)
    assert (by_name.key, by_name.key_is_content) == (("content",), False)


BAD_FILES = [
    ("", "", "empty"),
    ("# only a comment\n", "", "empty"),
    ("---\n...\n", "", "empty"),
    ("- a\n", "", "Must be a mapping"),
    ("just text", "", "Must be a mapping"),
    ("a: [1, 2\n", "", "not YAML"),
    ("a: b: c\n", "", "line 1"),
    ("a: \x07\n", "", "character that YAML does not allow"),
    ("a: x\x00y\n", "", "NUL"),
    (b"a: \xff\n", "", "not UTF-8"),
    ("a: x\n".encode("utf-16"), "", "not UTF-8"),
    ("a: \ud800\n", "", "not UTF-8"),
    ("#" * (MAX_BYTES + 1), "", "larger than 1 MB"),
    ("[" * 5000, "[0]" * 20, "nested"),
    ("a: " + "{b: " * 5000, "a" + ".b" * 19, "nested"),
    (COLUMNS + "      a: x\n---\nversion: 1\n", "", "several YAML documents"),
    ("version: 2\nname: m\ntables: []\n", "version", "Only version 1"),
    ("version: '1'\nname: m\ntables: []\n", "version", "Only version 1"),
    ("name: m\n", "version", "missing"),
    ("version: 1\n", "name", "missing"),
    ("version: 1\nname: m\n", "tables", "missing"),
    ("version: 1\nname: m\ntables: []\n", "tables", "at least one"),
    ("version: 1\nname: m\ntables: {a: b}\n", "tables", "Must be a list"),
    ("version: 1\nname: a b\ntables: []\n", "name", "slug"),
    ("version: 1\nname: -a\ntables: []\n", "name", "no hyphen first"),
    ("version: 1\nname: " + "a" * 64 + "\ntables: []\n", "name", "slug"),
    ("version: 1\nname: 7\ntables: []\n", "name", "a number"),
    ("version: 1\nname: m\nwiden: yes\ntables: []\n", "widen", "true or false"),
    ("version: 1\nname: m\non_error: skip\ntables: []\n", "on_error", "stop, quarantine"),
    ("version: 1\nname: m\nmax_quarantined: -1\ntables: []\n", "max_quarantined", "0 or more"),
    ("version: 1\nname: m\nmax_quarantined: true\ntables: []\n", "max_quarantined", "whole number"),
    ("version: 1\nname: m\nmax_quarantined: 1.5\ntables: []\n", "max_quarantined", "whole number"),
    ("version: 1\nname: m\nmax_quarantined: 2147483648\ntables: []\n", "max_quarantined", "at most"),
    ("version: 1\nname: m\ntable: []\n", "table", "did you mean tables?"),
    ("Version: 1\nname: m\ntables: []\n", "Version", "did you mean version?"),
    ("version: 1\nname: m\nfoo: []\n", "foo", "the keys here are version"),
    ("version: 1\nname: m\nname: n\n", "name", "twice (lines 2 and 3)"),
    ("version: 1\nname: &x m\n", "name", "anchor &x"),
    ("version: 1\nname: *x\n", "name", "alias *x"),
    ("version: 1\nname: !!str m\n", "name", "tag"),
    ("version: 1\nname: !!python/object:os.system m\n", "name", "tag"),
    ("? [a, b]\n: c\n", "", "A key must be a text"),
]


@pytest.mark.parametrize(("text", "path", "part"), BAD_FILES)
def test_a_bad_file_is_refused_with_path(text: str | bytes, path: str, part: str) -> None:
    assert part in refusal(text)[path]


BAD_TABLES = [
    ("", "tables[0].columns", "missing"),
    ("columns: {}", "tables[0].columns", "at least one"),
    ("columns: [a]", "tables[0].columns", "at least one"),
    ("colums: {a: x}", "tables[0].colums", "did you mean columns?"),
    ("joins: [{table: t, alias: a, condition: 'a.x = 1'}]", "tables[0].alias", "needs an alias"),
    ("alias: a\n    joins: [{table: t, alias: a, condition: 'true'}]", "tables[0].joins[0].alias", "taken"),
    ("alias: c\n    joins: [{table: t, condition: 'true'}]", "tables[0].joins[0].alias", "missing"),
    ("alias: c\n    joins: [{table: t, alias: a}]", "tables[0].joins[0].condition", "missing"),
    (
        "alias: c\n    joins: [{table: t, alias: a, condition: 'true', type: outer}]",
        "tables[0].joins[0].type",
        "inner, left",
    ),
    ("joins: {a: b}", "tables[0].joins", "Must be a list"),
    ("joins: [a]", "tables[0].joins[0]", "Must be a mapping"),
    ("where: 'a; drop table t'", "tables[0].where", "character"),
    ("where: 1", "tables[0].where", "a number"),
    ("where: ''", "tables[0].where", "empty"),
    ("key: id", "tables[0].key", "list of source columns"),
    ("key: []", "tables[0].key", "list of source columns"),
    ("key: [a, a]", "tables[0].key[1]", "twice"),
    ("key: [1]", "tables[0].key", "Must be a name"),
    ("distinct: 1", "tables[0].distinct", "true or false"),
    ("walk: rows", "tables[0].walk", "keys, pages"),
    ("existing: {match: [a]}", "tables[0].existing.then", "missing"),
    ("existing: {match: [a], then: skip}", "tables[0].existing.then", "keep, update"),
    ("existing: {match: [], then: keep}", "tables[0].existing.match", "at least one"),
    ("existing: {then: keep}", "tables[0].existing.match", "missing"),
    ("existing: {match: ['a; b'], then: keep}", "tables[0].existing.match[0]", "character"),
    ("link: {source_id: true}", "tables[0].link.source_id", "false for none"),
    ("link: {source_id: null}", "tables[0].link.source_id", "false for none"),
    ("link: {source_id: []}", "tables[0].link.source_id", "false for none"),
    ("key: [a, b]\n    link: {source_id: x}", "tables[0].link.source_id", "2, not 1"),
    ("key: [a, b]\n    link: {source_id: [x, y, z]}", "tables[0].link.source_id", "2, not 3"),
    ("key: [a, b]\n    link: {source_id: [x, x]}", "tables[0].link.source_id[1]", "twice"),
    ("link: {map: 0}", "tables[0].link.map", "true or false"),
    ("is_migrated: true", "tables[0].is_migrated", "false for none"),
    ("is_migrated: null", "tables[0].is_migrated", "false for none"),
    ("link: {source_id: f}\n    is_migrated: f", "tables[0].is_migrated", "same name"),
    ("is_migrated: done\n    columns: {done: x}", "tables[0].columns.done", "fills itself"),
    ("link: {source_id: old}\n    columns: {old: x}", "tables[0].columns.old", "fills itself"),
    ("key: [a]\n    columns: {source_table_id: x}", "tables[0].columns.source_table_id", "fills itself"),
    ("key: [a, b]\n    columns: {source_table_b: x}", "tables[0].columns.source_table_b", "fills itself"),
    (f"is_migrated: {'ü' * 32}", "tables[0].is_migrated", "64 bytes"),
    (f"key: [{'a' * 64}]", "tables[0].key", "64 bytes"),
]


@pytest.mark.parametrize(("text", "path", "part"), BAD_TABLES)
def test_a_bad_table_mapping_is_refused_with_path(text: str, path: str, part: str) -> None:
    assert part in refusal(f"{TABLE}    {text}\n")[path]


BAD_COLUMNS = [
    ("", "a", "Says nothing"),
    ("1", "a", "in quotes"),
    ("[x, y]", "a", "Must be a source column"),
    ("{}", "a", "exactly one"),
    ("{from: x, expr: y}", "a", "it has from and expr"),
    ("{from: x, value: null}", "a", "it has from and value"),
    ("{from: 1}", "a.from", "in quotes"),
    ("{from: []}", "a.from", "source column's name"),
    ("{from: [x, y]}", "a.from", "only possible with ref"),
    ("{expr: 'a; drop table t'}", "a.expr", "character"),
    ("{value: x, ref: customer}", "a.ref", "constant"),
    ("{value: x, lookup: {table: t, key: k, value: v}}", "a.lookup", "constant"),
    ("{from: x, ref: customer, lookup: {table: t, key: k, value: v}}", "a", "both lookup and ref"),
    ("{from: x, lookup: {table: t, key: k}}", "a.lookup.value", "missing"),
    ("{from: x, lookup: t}", "a.lookup", "Must be a mapping"),
    ("{from: x, ref: nobody}", "a.ref", 'there are "customer"'),
    ("{from: x, ref: {column: c}}", "a.ref.table", "missing"),
    ("{from: x, ref: customer, missing: null}", "a.missing", '"null" in quotes'),
    ("{from: x, ref: customer, missing: skip}", "a.missing", "stop, quarantine, null"),
    ("{from: x, missing: stop}", "a.missing", "without ref"),
    ("{form: x}", "a.form", "did you mean from?"),
    ('{value: "a\\0b"}', "a.value", "NUL"),
    ("{value: [1e999]}", "a.value[0]", "exactly"),
    ("{value: {r: 0.1000000000000000055511151231257827}}", "a.value.r", "exactly"),
]


@pytest.mark.parametrize(("text", "path", "part"), BAD_COLUMNS)
def test_a_bad_column_mapping_is_refused_with_path(text: str, path: str, part: str) -> None:
    assert part in refusal(COLUMNS + f"      a: {text}\n")["tables[0].columns." + path]


def test_names_are_measured_in_bytes_and_without_the_alias() -> None:
    joined = TABLE + "    alias: c\n    joins: [{table: t, alias: a, condition: 'true'}]\n    columns:\n"
    longest = "c." + "ä" * 31 + "x"
    assert parse(joined + f"      b: {longest}\n").tables[0].columns[0].from_ == (longest,)
    assert "64 bytes" in refusal(joined + f"      b: {longest}y\n")["tables[0].columns.b"]
    assert "65 bytes" in refusal(COLUMNS + f"      b: {longest}\n")["tables[0].columns.b"]
    assert "64 bytes" in refusal(COLUMNS + f"      {'n' * 64}: x\n")["tables[0].columns." + "n" * 64]


def test_unusual_names_are_quoted_in_paths() -> None:
    assert set(refusal(COLUMNS + "      a.b c: 1\n")) == {'tables[0].columns."a.b c"'}


def test_table_names_are_unique_and_default_to_the_source() -> None:
    twice = TABLE + "    columns: {a: x}\n  - source: other.customer\n    target: t\n    columns: {a: x}\n"
    assert "customer" in refusal(twice)["tables[1].name"]
    assert [
        table.name for table in parse(twice.replace("  - source: o", "  - name: o\n    source: o")).tables
    ] == [
        "customer",
        "o",
    ]


def test_tables_that_share_a_target_have_source_ids_of_their_own() -> None:
    shared = (
        TABLE + "    key: [id]\n    columns: {source_customer_id: x}\n"
        "  - source: staff\n    key: [id]\n    target: crm.client\n    columns: {source_table_id: x}\n"
    )
    assert set(refusal(shared)) == {"tables[0].columns.source_customer_id"}


def test_all_problems_are_listed_at_once() -> None:
    text = (
        "version: 3\nname: 'a b'\nwiden: 1\ntables:\n"
        "  - source: 1\n    columns: {a: {ref: x}}\n"
        "  - {source: s, target: t, key: 5, wher: x, columns: {b: {from: y, ref: gone}, b: z}}\n"
    )
    assert set(refusal(text)) >= {
        "version", "name", "widen", "tables[0].source", "tables[0].target", "tables[0].columns.a",
        "tables[1].key", "tables[1].wher", "tables[1].columns.b",
    }  # fmt: skip


def test_an_alias_bomb_is_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    assert "anchor" in refusal("\n".join(lines))["a1"]


def test_a_dump_is_short_and_in_the_form_of_the_contract() -> None:
    assert dump(parse(FULL)) == (
        "version: 1\nname: crm-merge\ndescription: Legacy CRM into the new one\nwiden: false\n"
        "on_error: quarantine\nmax_quarantined: 7\ntables:\n"
        "  - source: legacy.customer\n    alias: c\n    joins:\n"
        "      - {table: legacy.address, alias: a, condition: a.id = c.address_id, type: left}\n"
        "    where: c.deleted = 0\n    key: [c.id]\n    distinct: true\n    order_by: c.id\n"
        "    target: crm.client\n    existing: {match: [code, lower(name)], then: update}\n"
        "    link: {source_id: old_id, map: false, backref: new_id}\n    is_migrated: done\n"
        "    columns:\n      full_name: c.name\n      email: {expr: lower(c.email)}\n"
        "      origin: {value: legacy}\n"
        "      region: {from: c.region_id, lookup: {table: legacy.region, key: id, value: label}}\n"
        "      parent_id: {from: c.parent_id, ref: customer}\n"
        "      owner_id: {expr: 'nullif(c.owner, 0)', ref: {table: customer, column: 'no'}, missing: 'null'}\n"
    )


TRICKY = [
    "", " ", "  x ", "null", "~", "no", "Yes", "on", "1", "1.0", "1e5", "0x10", "010", "+1", "12:30", "2024-01-01",
    "- a", "a: b", "a #b", "#", "'", '"', "''", "\\", "\\n", "{", "}", "[", "]", ",", "&a", "*a", "!t", "|", ">",
    "%", "@", "`", "?", ": ", "a:", "---", "...", "<<", "=", "\t", "a\tb", "a\nb", "\n", "a\n", "\na", "a\n\nb",
    "a\r\nb", "\r", "a \nb", "  a\n b", "\u2028", "\x85", "\u00a0", "\ufeff", "\U0001f600", "é", "\x07", "\x7f",
    "a" * 300, "x y " * 60, "line one\nline two: 'q' \"d\"", ".inf", "-.5", "True", "y", "!!str", "a'b\"c\\d",
]  # fmt: skip


@pytest.mark.parametrize("text", TRICKY)
def test_any_text_survives_the_file_as_a_constant_and_a_description(text: str) -> None:
    columns = (Column("a", value=text, has_value=True), Column("b", value={"k": (text,)}, has_value=True))
    spec = MappingSpec("m", (Table("t", "t", "u", columns),), description=text)
    assert parse(dump(spec)) == spec == from_canonical(canonical(spec))


@pytest.mark.parametrize("many", [20, pytest.param(300, marks=pytest.mark.thorough)])
def test_generated_mappings_survive_dump_and_parse(many: int) -> None:
    chance = random.Random(20240229)
    for _ in range(many):
        spec = _some_mapping(chance)
        again = parse(dump(spec))
        assert again == spec == from_canonical(canonical(spec))
        assert dump(again) == dump(spec)
        assert sha256(again) == sha256(spec)
        assert dump(spec) == written_at_once(file_form(canonical(spec))), "a table at a time"


def _some_name(chance: random.Random) -> str:
    alphabet = string.ascii_letters + string.digits + " .-_%$#'\":{}[],&*!|>?äß日\t\n\\"
    usual = ["name", "region_id", "NO", "y", "no", "null", "1", "id", "Order", "~", "1.5", "true"]
    odd = "".join(chance.choice(alphabet) for _ in range(chance.randint(1, 20)))
    return chance.choice([*usual, odd, odd])


def _some_constant(chance: random.Random, depth: int = 0) -> object:
    kinds: list[object] = [
        None,
        True,
        False,
        chance.randint(-(10**20), 10**20),
        chance.choice(TRICKY),
        _some_name(chance),
    ]
    if depth < 3:
        kinds.append(tuple(_some_constant(chance, depth + 1) for _ in range(chance.randint(0, 3))))
        kinds.append(
            {_some_name(chance): _some_constant(chance, depth + 1) for _ in range(chance.randint(0, 3))}
        )
    if depth:
        kinds.append(chance.choice([0.1, 1.5, -2.25, 1e-9, 0.0]))
    return chance.choice(kinds)


def _some_column(chance: random.Random, name: str, tables: list[str]) -> Column:
    way = chance.randint(0, 6)
    if way == 0:
        return Column(name, value=_some_constant(chance), has_value=True)  # type: ignore[arg-type]
    if way == 1:
        return Column(name, expr="lower(a)", lookup=Lookup("s.t", "id", "label"))
    if way == 2:
        parts = tuple({_some_name(chance) for _ in range(3)})
        missing = chance.choice([None, "stop", "null"])
        ref = Ref(chance.choice(tables), chance.choice([None, _some_name(chance)]))
        return Column(name, from_=parts, ref=ref, missing=missing)  # type: ignore[arg-type]
    if way == 3:
        return Column(name, expr=chance.choice(["a + 1", "'x: y'", "a\n  || b", "case when a then 'no' end"]))
    return Column(name, from_=(_some_name(chance),))


def _some_table(chance: random.Random, number: int, tables: list[str]) -> Table:
    names = {f"{_some_name(chance)}{number}" for number in range(chance.randint(1, 6))}
    key = chance.choice([None, tuple({_some_name(chance), "k2"})])
    return Table(
        name=tables[number],
        source=chance.choice([f"t{number}", f's."T {number}"']),
        target="u.v",
        columns=tuple(_some_column(chance, name, tables) for name in sorted(names)),
        alias=chance.choice([None, "c"]),
        where=chance.choice([None, "a = 'no'", "a > 1 -- not\n"[:5]]),
        key=key,
        key_is_content=key is None and chance.random() < 0.3,
        distinct=chance.random() < 0.3,
        order_by=chance.choice([None, "a"]),
        walk=chance.choice([None, "keys", "pages"]),
        existing=chance.choice([None, Existing(("a", "lower(b)"), "keep")]),
        link=Link(
            chance.choice([None, (), tuple(f"s{n}" for n in range(len(key or "x")))]), chance.random() < 0.5
        ),
        is_migrated=chance.choice(["is_migrated", None, "no"]),
    )


def _some_mapping(chance: random.Random) -> MappingSpec:
    tables = [f"t{number}" for number in range(chance.randint(1, 4))]
    return MappingSpec(
        name="m",
        tables=tuple(_some_table(chance, number, tables) for number in range(len(tables))),
        description=chance.choice(TRICKY),
        widen=chance.random() < 0.5,
        on_error=chance.choice(["stop", "quarantine"]),
        max_quarantined=chance.randint(0, 5000),
    )
