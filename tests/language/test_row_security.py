"""Row security hides nothing in silence: the plan names table, policy and right, and the server refuses the rest."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import pytest

from mappings.models import Environment
from tests.journeys.world import fresh
from tests.language.feature import Feature, explained

SOURCE = """
CREATE TABLE region (code text PRIMARY KEY, label text);
INSERT INTO region SELECT 'r' || n, 'Region ' || n FROM generate_series(0, 4) n;
CREATE TABLE shop (id int PRIMARY KEY, name text);
INSERT INTO shop SELECT n, 'Shop ' || n FROM generate_series(0, 4) n;
CREATE TABLE item (id int PRIMARY KEY, label text, region text, shop int);
INSERT INTO item SELECT n, 'Item ' || n, 'r' || n % 5, n % 5 FROM generate_series(1, 50) n;
CREATE VIEW seen AS SELECT * FROM item;
"""
TARGET = """
CREATE TABLE thing (id serial PRIMARY KEY, label text, region text, shop text);
CREATE TABLE mark (id serial PRIMARY KEY, thing_id int REFERENCES thing);
"""
MAPPING = """
tables:
  - name: item
    source: old.{0}
    alias: i
    joins: [{{table: old.shop, alias: s, condition: "s.id = i.shop", type: left}}]
    key: [i.id]
    target: new.thing
    columns:
      label: i.label
      region: {{from: i.region, lookup: {{table: old.region, key: code, value: label}}}}
      shop: s.name
"""
HIDDEN = "ALTER TABLE {0} ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON {0} USING (ctid < '(0,21)')"
PLACES = {
    # table and side -> what the plan says
    "item": ("old", "tables[0].source: row security of old.item hides rows from the role {0}, by the policy few;"),
    "shop": ("old", "tables[0].joins[0].table: row security of old.shop hides rows from the role {0}"),
    "region": ("old", "tables[0].columns.region.lookup.table: row security of old.region hides rows from the role {0}"),
    "thing": ("new", "tables[0].target: row security of new.thing hides rows from the role {0}"),
}  # fmt: skip


@pytest.fixture
def plain(feature: Feature) -> Iterator[tuple[Feature, str]]:
    """The same databases as a role that owns nothing of the source, and its name."""
    role = f"plain_{uuid.uuid4().hex[:8]}"
    feature.given(SOURCE, TARGET, MAPPING.format("item"))
    feature.target(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    for url in dict.fromkeys(feature.pair):
        name = urlsplit(url).path[1:]
        feature.on(url, f"GRANT CREATE, CONNECT, TEMPORARY ON DATABASE {name} TO {role}")
    feature.source(f"GRANT USAGE ON SCHEMA old TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA old TO {role}")
    feature.target(f"ALTER SCHEMA new OWNER TO {role}; ALTER TABLE new.thing OWNER TO {role};"
                   f"ALTER TABLE new.mark OWNER TO {role}")  # fmt: skip
    feature.environment.source_url, feature.environment.target_url = (
        as_role(url, role) for url in feature.pair
    )
    feature.environment.save()
    yield feature, role
    for url in dict.fromkeys(feature.pair):
        feature.on(url, f"DROP OWNED BY {role} CASCADE")
    feature.target(f"DROP ROLE {role}")


def as_role(url: str, role: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{role}:x@{parts.netloc.rpartition('@')[2]}"))


@pytest.mark.parametrize("table", PLACES)
def test_the_plan_names_table_policy_and_right(plain: tuple[Feature, str], table: str) -> None:
    feature, role = plain
    schema, said = PLACES[table]
    change = feature.source if schema == "old" else feature.target
    change(HIDDEN.format(f"{schema}.{table}"))
    if schema == "new":  # it is the role's own table
        assert feature.blockers() == ""
        change(f"ALTER TABLE {schema}.{table} FORCE ROW LEVEL SECURITY")
    blockers = feature.blockers()
    assert said.format(role) in blockers, blockers
    assert f"ALTER ROLE {role} BYPASSRLS" in blockers
    assert ("NO FORCE ROW LEVEL SECURITY" in blockers) == (schema == "new")
    change(f"DROP POLICY few ON {schema}.{table}")
    assert "by having no policy for anybody" in feature.blockers()
    feature.target(f"ALTER ROLE {role} BYPASSRLS")
    assert feature.blockers() == ""
    feature.brings({"SELECT count(*), count(region), count(shop) FROM thing": [(50, 50, 50)]})


def test_a_view_is_read_with_its_owners_rights(plain: tuple[Feature, str]) -> None:
    feature, role = plain
    feature.define(f"version: 1\nname: feature\n{MAPPING.format('seen')}")
    feature.source(f"CREATE ROLE {role}_owner; GRANT USAGE ON SCHEMA old TO {role}_owner;"
                   f"GRANT SELECT ON old.item TO {role}_owner; ALTER VIEW old.seen OWNER TO {role}_owner;"
                   f"GRANT SELECT ON old.seen TO {role};" + HIDDEN.format("old.item"))  # fmt: skip
    try:
        assert (
            f"hides rows from the role {role}_owner, as whom the view old.seen reads it" in feature.blockers()
        )
        feature.source(f"ALTER ROLE {role}_owner BYPASSRLS")
        feature.brings({"SELECT count(*) FROM thing": [(50,)]})
    finally:
        feature.source(f"DROP OWNED BY {role}_owner CASCADE; DROP ROLE {role}_owner")


def test_what_is_hidden_after_the_run_stops_its_rollback(plain: tuple[Feature, str]) -> None:
    feature, _ = plain
    before = feature.state()
    run = feature.brings({"SELECT count(*) FROM thing": [(50,)]})
    feature.target(HIDDEN.format("new.thing") + "; ALTER TABLE new.thing FORCE ROW LEVEL SECURITY")
    with pytest.raises(Exception, match="row-level security policy") as refused:
        feature.rolled_back(run)
    assert "thing" in str(refused.value)
    forced = feature.rolled_back(run, force=True)
    assert (forced.status, "row-level security policy" in forced.error) == ("failed", True)
    assert feature.target("SELECT count(*), count(source_table_id) FROM new.thing") == [(50, 50)]
    feature.target("ALTER TABLE new.thing NO FORCE ROW LEVEL SECURITY")
    assert feature.rolled_back(fresh(run)).status == "rolled_back", explained(fresh(run))
    feature.target("DROP POLICY few ON new.thing; ALTER TABLE new.thing DISABLE ROW LEVEL SECURITY")
    assert feature.state() == before


def test_a_rollback_that_could_not_see_who_hangs_on_its_rows_is_announced(plain: tuple[Feature, str]) -> None:
    feature, _ = plain
    feature.target("ALTER TABLE new.mark OWNER TO CURRENT_USER;" + HIDDEN.format("new.mark"))
    said = "a rollback could not look for rows that point to those of new.thing: row security of new.mark hides rows"
    assert said in feature.warnings()
    assert Environment.objects.count() == 1
