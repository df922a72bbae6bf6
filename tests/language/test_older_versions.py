"""Runs that were frozen by an older version, whose plans and registers say less, are taken back after the upgrade."""

from __future__ import annotations

from typing import Any

from jobs.models import Run
from tests.language.feature import Feature

SOURCE = """
CREATE TABLE "old AS ""item" (id int PRIMARY KEY, label text);
INSERT INTO "old AS ""item" VALUES (1, 'longer than ten'), (2, 'b');
"""
TARGET = """
CREATE TABLE log (what text); CREATE TABLE thing (id bigserial PRIMARY KEY, label varchar(10));
CREATE VIEW labels AS SELECT upper(label) AS label FROM thing; CREATE VIEW more AS SELECT * FROM labels;
COMMENT ON VIEW labels IS 'all of them'; GRANT SELECT ON more TO PUBLIC;
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS
  $$BEGIN INSERT INTO log VALUES (TG_OP); RETURN coalesce(NEW, OLD); END$$;
CREATE TRIGGER noted BEFORE INSERT OR DELETE ON thing FOR EACH ROW EXECUTE FUNCTION noted();
"""
MAPPING = """
tables:
  - {source: 'old."old AS ""item"', target: new.thing, link: {backref: thing_id}, columns: {label: label}}
"""
VIEWS = "SELECT c.relname::text, pg_get_viewdef(c.oid), c.relacl::text, obj_description(c.oid) FROM pg_class c WHERE"
VIEWS += " c.relnamespace = 'new'::regnamespace AND c.relkind = 'v' ORDER BY 1"


def aged(feature: Feature, run: Run) -> None:
    """Takes out of the plan and of the register what the first versions did not write."""
    plan: dict[str, Any] = run.plan
    for table in plan["tables"]:
        for name in ("alias", "source_sql", "fires", "hushed", "backref_key", "overwriters"):
            del table[name]
    for step in plan["steps"]:
        for name in ("views_first", "views_last", "no_way_around"):
            del step[name]
    Run.objects.filter(pk=run.pk).update(plan=plan)
    columns = ", ".join(f"DROP COLUMN {name}" for name in ("before", "after", "views_first", "views_last"))
    feature.target(f"ALTER TABLE migrator.schema_step {columns}")


def test_a_run_of_an_older_version_with_a_backref_and_a_widening_under_views_is_taken_back(
    feature: Feature,
) -> None:
    feature.given(SOURCE, TARGET, MAPPING)
    feature.target(
        f"ALTER DATABASE {feature.pair.target.rpartition('/')[2].partition('?')[0]} SET search_path = new"
    )
    before, views = feature.state(), feature.target(VIEWS)
    run = feature.verified()
    assert feature.source('SELECT count(thing_id) FROM old."old AS ""item"') == [(2,)]
    aged(feature, run)
    again = feature.verified()  # a catch-up knows that the column was widened, and by whom
    assert again.plan["steps"] == []
    aged(feature, again)
    feature.undo(again, run)
    assert feature.target("SELECT what, count(*) FROM new.log GROUP BY 1 ORDER BY 1") == [
        ("DELETE", 2),
        ("INSERT", 2),
    ]
    feature.target("TRUNCATE new.log")
    assert (feature.state(), feature.target(VIEWS)) == (before, views)
