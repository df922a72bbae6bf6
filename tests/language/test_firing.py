"""Triggers and checks of the target run as in any session of the role; its operators never reach our statements."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from tests.language.feature import Feature

NODES = """
CREATE TABLE node (id int PRIMARY KEY, up int, name varchar(20));
INSERT INTO node SELECT n, n - 1, 'n' || n FROM generate_series(1, 9) n; UPDATE node SET up = NULL WHERE up = 0;
"""
NOTED = """
CREATE TABLE noted (at text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO noted VALUES (concat_ws(' ', TG_ARGV[0], TG_OP)); RETURN coalesce(NEW, OLD); END $$;
CREATE TABLE good (name varchar(20));
CREATE FUNCTION is_good(text) RETURNS boolean LANGUAGE plpgsql AS
  $$ BEGIN RETURN NOT EXISTS (SELECT FROM good WHERE name = $1); END $$;
CREATE FUNCTION wrong(varchar, varchar) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION joined(varchar, varchar) RETURNS varchar LANGUAGE sql AS $$ SELECT 'stolen'::varchar $$;
CREATE OPERATOR = (FUNCTION = wrong, LEFTARG = varchar, RIGHTARG = varchar);
CREATE OPERATOR <> (FUNCTION = wrong, LEFTARG = varchar, RIGHTARG = varchar);
CREATE OPERATOR || (FUNCTION = joined, LEFTARG = varchar, RIGHTARG = varchar);
CREATE TABLE node (id serial PRIMARY KEY, up int REFERENCES node, name varchar(20) CHECK (is_good(name)));
"""
TRIGGERS = "".join(
    f"CREATE TRIGGER {when}_{kind} {when} INSERT OR UPDATE OR DELETE ON node FOR EACH {kind}"
    f" EXECUTE FUNCTION note('{when} {kind}');\n"
    for when in ("before", "after") for kind in ("row", "statement")
) + """CREATE CONSTRAINT TRIGGER late AFTER INSERT OR UPDATE OR DELETE ON node DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION note('late row');"""  # fmt: skip
KINDS = ["after row", "after statement", "before row", "before statement", "late row"]
SHAPES = {
    "plain": "",
    "unmapped": "link: {map: false}, ",
    "by the map": "link: {source_id: false}, ",
    "merged": "existing: {match: [name], then: update}, ",
}


def lead(feature: Feature, path: str) -> None:
    for url in dict.fromkeys(feature.pair):
        feature.on(url, f"ALTER DATABASE {urlsplit(url).path[1:]} SET search_path = {path}")


@pytest.mark.parametrize("shape", SHAPES)
def test_names_without_a_schema_are_found_by_whatever_a_write_fires(feature: Feature, shape: str) -> None:
    there = "INSERT INTO node (name) VALUES ('n4'), ('x');" if shape == "merged" else ""
    feature.given(NODES, NOTED + there + TRIGGERS, f"""
tables:
  - {{source: old.node, target: new.node, {SHAPES[shape]}
      columns: {{name: {{expr: "name || '!'"}}, up: {{from: up, ref: node}}}}}}
""".replace("name || '!'", "name" if shape == "merged" else "name || '!'"), chunk_rows=4)  # fmt: skip
    lead(feature, "new")
    assert "SET search_path" not in feature.warnings()
    run = feature.verified()
    end = "" if shape == "merged" else "!"
    names = [*(["x"] if shape == "merged" else []), *(f"n{n}{end}" for n in range(1, 10))]
    assert feature.target('SELECT name::text COLLATE "C" FROM new.node ORDER BY 1') == [
        (name,) for name in sorted(names)
    ]
    assert noted(feature, "INSERT") == noted(feature, "UPDATE") == KINDS
    assert feature.rolled_back(run).status == "rolled_back"
    assert noted(feature, "DELETE") == KINDS


def noted(feature: Feature, operation: str) -> list[object]:
    rows = feature.target('SELECT DISTINCT at COLLATE "C" FROM new.noted ORDER BY 1')
    return [str(at).removesuffix(f" {operation}") for (at,) in rows if str(at).endswith(f" {operation}")]


def test_a_schema_that_others_may_write_to_is_left_out_and_the_plan_says_for_whom(feature: Feature) -> None:
    feature.given(NODES, NOTED + TRIGGERS, """
tables: [{source: old.node, target: new.node, columns: {name: name}}]
""")  # fmt: skip
    lead(feature, "new")
    feature.target("GRANT CREATE ON SCHEMA new TO PUBLIC")
    said = feature.warnings()
    assert "trigger before_row of new.node runs new.note(), which has no search_path of its own" in said
    assert "check node_name_check of new.node runs new.is_good(text)" in said
    assert 'not looked up in "new" here' in said
    run = feature.run()
    assert run.status == "failed" and 'relation "noted" does not exist' in run.error
    feature.target("ALTER FUNCTION new.note() SET search_path = new, pg_temp;"
                   "ALTER FUNCTION new.is_good(text) SET search_path = new, pg_temp")  # fmt: skip
    assert "no search_path of its own" not in feature.warnings()
    feature.rolled_back(run)
    feature.verified()
