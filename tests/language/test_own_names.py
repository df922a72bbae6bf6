"""Columns of the operator's that are called like the product's own, and texts that look like its SQL."""

from __future__ import annotations

import pytest

from tests.language.feature import Feature

OWN = (
    "__n", "__key", "__target", "__action", "__here", "__part", "__place", "__content", "__value", "__lookup_1",
    "source_key", "target_key", "present", "first", "known", "m1", "e1", "k1", "c1", "tkey", "__n_", "__here_",
)  # fmt: skip
COLUMNS = ", ".join(f'"{name}" text' for name in OWN)
FILLED = ", ".join(f"'{name} ' || n" for name in OWN)
MAPPED = ", ".join(f'"{name}": "{name}"' for name in OWN)
TRIGGER = """
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch();
"""


@pytest.mark.parametrize(("existing", "key", "trigger"), [
    ("", "[id]", ""),
    ('existing: {match: ["__n", "__key"], then: update},', "[id]", ""),
    ('existing: {match: ["coalesce(up, 0)", "__n"], then: keep},', "[id]", ""),
    ('existing: {match: ["__action"], then: update},', "content", TRIGGER),
])  # fmt: skip
def test_columns_are_called_like_our_own(feature: Feature, existing: str, key: str, trigger: str) -> None:
    up = "" if key == "content" else "up: {from: up, ref: s},"
    feature.given(
        f"""
CREATE TABLE word (id int PRIMARY KEY, word text); INSERT INTO word VALUES (1, 'one'), (2, 'two');
CREATE TABLE s (id int PRIMARY KEY, up int, {COLUMNS});
INSERT INTO s SELECT n, CASE n WHEN 2 THEN 1 END, {FILLED} FROM generate_series(1, 2) n""",
        f"""
CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, up int, word text, {COLUMNS});
INSERT INTO t ("__n", "__key", "__action") VALUES ('__n 1', '__key 1', '__action 1'); {trigger}""",
        f"""
tables:
  - {{source: old.s, alias: "__lookup_1", key: {key}, target: new.t, {existing}
      columns: {{ {up} word: {{from: id, lookup: {{table: old.word, key: id, value: word}}}}, {MAPPED}}}}}
""",
    )
    rows: list[tuple[object, ...]] = [
        (n, word, *(f"{name} {n}" for name in OWN)) for n, word in ((1, "one"), (2, "two"))
    ]
    listed = ", ".join(f'"{name}"' for name in OWN)
    expected = f"SELECT right(m1, 1)::int, word, {listed} FROM t WHERE is_migrated ORDER BY 1"
    feature.check({expected: rows[1:] if "keep" in existing else rows})


def test_a_literal_in_a_match_looks_like_an_alias(feature: Feature) -> None:
    """Two source rows of one match make one row, whatever the match says."""
    feature.given(
        "CREATE TABLE s (id int PRIMARY KEY, name text); INSERT INTO s VALUES (1, 'a'), (2, 'a'), (3, 'b')",
        """CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text);
           INSERT INTO t (name) VALUES ('b')""",
        """
tables:
  - source: old.s
    target: new.t
    existing: {match: ["name || ' \\"w\\".\\"o\\".'"], then: keep}
    columns: {name: name}
""",
    )
    feature.check({"SELECT name FROM t ORDER BY 1": [("a",), ("b",)]}, counts={"s": (1, 0, 2, 0)})
