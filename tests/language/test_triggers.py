"""Row triggers of the target that come before a change, and alter it or prevent it."""

from __future__ import annotations

import pytest

from mappings.problems import Refused
from tests.language.feature import Feature, explained

NODES = """
CREATE TABLE node (id int PRIMARY KEY, up int, name text, changed timestamptz);
INSERT INTO node VALUES (1, 3, 'a', '2021-01-01'), (2, 1, 'b', NULL), (3, NULL, 'c', '2022-02-02'), (4, 4, 'd', NULL);
"""
TOUCH = """
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN NEW.changed := clock_timestamp(); NEW.times := coalesce(NEW.times, 0) + 1; RETURN NEW; END $$;
CREATE TABLE log (op text, n int);
CREATE FUNCTION count_up() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN UPDATE new.log SET n = n + 1 WHERE op = TG_OP; RETURN NULL; END $$;
"""
TABLE = """
CREATE TABLE {0} (id {1} PRIMARY KEY, up int REFERENCES {0} DEFERRABLE INITIALLY DEFERRED, name text, fact json,
  changed timestamptz, times int) {2};
CREATE TRIGGER touch BEFORE UPDATE ON {0} FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER "Touch too" BEFORE UPDATE OF name ON {0} FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE {0} ENABLE ALWAYS TRIGGER "Touch too";
"""


def test_what_is_linked_later_keeps_what_was_copied(feature: Feature) -> None:
    """Though a trigger sets the time of each update, which is mapped. Those that come after see both changes."""
    feature.given(NODES, TOUCH + TABLE.format("node", "serial", "")
      + TABLE.format("parted", "int", "PARTITION BY RANGE (id)")
      + """
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (1) TO (3); CREATE TABLE parted_2 PARTITION OF parted DEFAULT;
CREATE TRIGGER counts AFTER UPDATE ON parted FOR EACH ROW EXECUTE FUNCTION count_up();
INSERT INTO log VALUES ('UPDATE', 0);
""", """
tables:
  - {name: node, source: old.node, target: new.node, link: {source_id: false},
      columns: {name: name, changed: changed, fact: {value: {a: 1}}, up: {from: up, ref: node}}}
  - {name: parted, source: old.node, target: new.parted,
      columns: {id: id, name: name, changed: changed, fact: {value: {a: 1}}, up: {from: up, ref: parted}}}
""", chunk_rows=3)  # fmt: skip
    shown = "SELECT c.name, p.name, to_char(c.changed, 'YYYY') FROM {0} c LEFT JOIN {0} p ON p.id = c.up ORDER BY 1"
    rows = [("a", "c", "2021"), ("b", "a", None), ("c", None, "2022"), ("d", "d", None)]
    run = feature.brings({shown.format("node"): rows, shown.format("parted"): rows,
                          "SELECT n > 2 FROM log": [(True,)]})  # fmt: skip
    feature.undo(run)


@pytest.mark.parametrize("late", ["", "up: {from: up, ref: node}, "])
def test_a_rollback_restores_rows_as_they_were(feature: Feature, late: str) -> None:
    """Also columns that are not mapped, which a trigger changed with each update, and would change once more."""
    feature.given(NODES, TOUCH + TABLE.format("node", "serial", "") + """
CREATE TRIGGER counts AFTER UPDATE ON node FOR EACH ROW EXECUTE FUNCTION count_up();
INSERT INTO node (name, changed, times, fact) VALUES ('a', '1999-09-09', 7, '{"b": 1.0}'), ('b', NULL, NULL, NULL);
""", f"""
tables:
  - {{source: old.node, target: new.node, existing: {{match: [name], then: update}},
      columns: {{{late}name: name, fact: {{value: {{a: 1}}}}}}}}
""")  # fmt: skip
    shown = "SELECT c.name, p.name, c.fact::text FROM node c LEFT JOIN node p ON p.id = c.up ORDER BY 1"
    parents = {"a": "c", "b": "a", "d": "d"} if late else {}
    feature.check({shown: [(name, parents.get(name), '{"a": 1}') for name in "abcd"],
                   "SELECT times > 0 FROM node WHERE name < 'c'": [(True,), (True,)]})  # fmt: skip


@pytest.mark.parametrize("link", ["map: true", "map: false"])
def test_a_trigger_that_keeps_rows_is_named_when_they_are_to_be_taken_back(
    feature: Feature, link: str
) -> None:
    feature.given(NODES, """
CREATE TABLE node (id serial PRIMARY KEY, name text);
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER keeps BEFORE DELETE ON node FOR EACH ROW WHEN (OLD.name = 'b') EXECUTE FUNCTION keep();
""", f"tables: [{{source: old.node, target: new.node, link: {{{link}}}, columns: {{name: name}}}}]")  # fmt: skip
    before = feature.state()
    run = feature.rolled_back(feature.verified())
    assert run.status == "failed" and "a trigger keeps them from being deleted (keeps)" in run.error, (
        explained(run)
    )
    assert feature.target("SELECT count(*) FROM new.node") == [(4,)]
    feature.target("ALTER TABLE new.node DISABLE TRIGGER keeps")
    feature.undo(run)
    feature.target("ALTER TABLE new.node ENABLE TRIGGER keeps")
    assert feature.state() == before


def test_what_a_trigger_hangs_on_new_rows_goes_with_them(feature: Feature) -> None:
    """Unless somebody changed it since, or it would not go by itself."""
    feature.given(NODES, """
CREATE TABLE node (id serial PRIMARY KEY, name text);
CREATE TABLE note (node int PRIMARY KEY REFERENCES node ON DELETE CASCADE, text text DEFAULT 'new');
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO new.note (node) VALUES (NEW.id); RETURN NULL; END $$;
INSERT INTO node (name) VALUES ('old'); INSERT INTO note VALUES (1, 'old');
CREATE TRIGGER notes AFTER INSERT ON node FOR EACH ROW EXECUTE FUNCTION note();
""", "tables: [{source: old.node, target: new.node, columns: {name: name}}]")  # fmt: skip
    before = feature.state()
    feature.undo(feature.brings({"SELECT count(*) FROM note": [(5,)]}))
    assert feature.state() == before
    run = feature.verified()
    feature.target("UPDATE new.note SET text = 'mine' WHERE node = (SELECT max(id) FROM new.node)")
    with pytest.raises(Refused, match=r"1 row of new\.note that the run did not bring"):
        feature.rolled_back(run)


def test_back_references_are_written_past_the_sources_triggers(feature: Feature) -> None:
    """Nothing else of the source changes, neither its rows nor what its triggers would write elsewhere."""
    feature.given(NODES + """
CREATE TABLE audit (what text);
CREATE FUNCTION old.touch() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN IF TG_LEVEL = 'ROW' AND TG_WHEN = 'BEFORE' THEN NEW.changed := now(); RETURN NEW; END IF;
     INSERT INTO old.audit VALUES (TG_NAME); RETURN NULL; END $$;
CREATE TRIGGER touch BEFORE UPDATE ON node FOR EACH ROW EXECUTE FUNCTION old.touch();
CREATE TRIGGER "Seen" AFTER UPDATE ON node FOR EACH ROW EXECUTE FUNCTION old.touch();
CREATE TRIGGER whole AFTER UPDATE ON node FOR EACH STATEMENT EXECUTE FUNCTION old.touch();
ALTER TABLE node ENABLE ALWAYS TRIGGER "Seen";
CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON node DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION old.touch();
""", "CREATE TABLE node (id serial PRIMARY KEY, name text)",
    "tables: [{source: old.node, target: new.node, link: {backref: new_id}, columns: {name: name}}]")  # fmt: skip
    before, rows = feature.state(), feature.source("SELECT id, up, name, changed FROM old.node ORDER BY id")
    run = feature.brings({"SELECT name FROM node ORDER BY 1": [(name,) for name in "abcd"]})
    assert feature.source("SELECT id, up, name, changed FROM old.node ORDER BY id") == rows
    assert feature.source("SELECT count(new_id), (SELECT count(*) FROM old.audit) FROM old.node") == [(4, 0)]
    feature.undo(run)
    assert feature.state() == before
