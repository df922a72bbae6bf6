"""Names that a mapping makes up stand on one line, whatever they are written into."""

from __future__ import annotations

import json

import pytest

from mappings.language.file import parse
from mappings.problems import Refused
from mappings.sql import comment, shortened

CONTROL = ["a\nb", "a\rb", "a\tb", "a\x1b[2Jb", "a\x85b", "a\u2028b"]
FILE = """
version: 1
name: shop
tables:
  - name: {name}
    source: {source}
    alias: {alias}
    joins: [{{table: x, alias: {join}, condition: "a.id = b.id"}}]
    target: t
    link: {{source_id: {source_id}, backref: {backref}}}
    is_migrated: {is_migrated}
    columns: {{c: {column}}}
"""
USUAL = {
    "name": "n", "source": "s", "alias": "a", "join": "j", "source_id": "i", "backref": "b", "is_migrated": "m",
    "column": "c",
}  # fmt: skip


def written(**names: str) -> str:
    return FILE.format(**{key: json.dumps(name) for key, name in {**USUAL, **names}.items()})


@pytest.mark.parametrize("name", CONTROL)
@pytest.mark.parametrize("key", ["name", "alias", "join", "source_id", "backref", "is_migrated"])
def test_a_control_character_is_refused(key: str, name: str) -> None:
    with pytest.raises(Refused) as caught:
        parse(written(**{key: name}))
    assert [str(one) for one in caught.value.problems if "control character" in one.text]


def test_of_what_is_there_already_names_may_be_anything() -> None:
    """But a table mapping is not called like a table with a line break in its name."""
    parse(written(source='"s\ns"', column="c\nc"))
    with pytest.raises(Refused, match="Is missing: the source's own name has a control character"):
        parse(written(source='"s\ns"').replace('name: "n"\n    ', ""))


@pytest.mark.parametrize("text", [*CONTROL, "\\! touch x", '*/ $$ """'])
def test_a_comment_is_one_line(text: str) -> None:
    assert len(comment(text).splitlines()) == 1 and comment(text).startswith("-- ")


@pytest.mark.parametrize("name", ["x" * 63, "é" * 31, "feed_copy_" + "x" * 53])
def test_a_name_of_ours_is_cut_by_us(name: str) -> None:
    """By a server both would be the same staging table."""
    made = [shortened(name + end) for end in ("", "a", "b")]
    assert made[0] == name
    assert len(set(made)) == 3
    assert all(len(one.encode()) <= 63 for one in made)
