"""The demo's data and its mapping agree: plain SQL made from mapping.yml violates nothing, loses nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import yaml
from django.conf import settings

from jobs.actions import rehearsals
from jobs.demo import load
from mappings.language import canonical, file
from mappings.models import Environment, Mapping
from mappings.store import save_spec
from migrator_site.embedded import Postgres

DOCUMENTED = settings.BASE_DIR / "docs/mapping-file.md"
MAPPING = yaml.safe_load(load.MAPPING.read_text("utf8"))
TABLES: dict[str, Any] = {table["source"].split(".")[1]: table for table in MAPPING["tables"]}
ROWS = {"region": 12, "company": 20_000, "contact": 80_000, "orders": 150_000}
OWN_ROWS = {"account": 120, "person": 300, "sale": 180, "activity": 60}


@pytest.fixture(scope="module")
def admin_url(pg18: Postgres) -> str:
    return pg18.url("postgres")


@pytest.fixture(scope="module")
def demo(admin_url: str) -> Iterator[tuple[str, str]]:
    """The demo under names of this test's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load, "SOURCE", "check_demo_legacy")
        patch.setattr(load, "TARGET", "check_demo_crm")
        drop(admin_url, load.SOURCE, load.TARGET)
        yield load.load_demo(admin_url)
        drop(admin_url, load.SOURCE, load.TARGET)


@pytest.fixture(scope="module")
def both(admin_url: str) -> Iterator[psycopg.Connection]:
    """Source and target in one database, so that plain SQL can migrate."""
    name = "check_demo_both"
    drop(admin_url, name)
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
    with psycopg.connect(load._url(admin_url, name), autocommit=True, client_encoding="utf8") as connection:
        for script in ("legacy.sql", "target.sql"):
            connection.execute((load.HERE / script).read_bytes())
        migrate(connection)
        yield connection
    drop(admin_url, name)


def drop(admin_url: str, *names: str) -> None:
    with psycopg.connect(admin_url, autocommit=True) as admin:
        for name in names:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            admin.execute(f"DROP DATABASE IF EXISTS {name}_unfinished WITH (FORCE)")


def row(connection: psycopg.Connection, query: str) -> tuple[Any, ...]:
    (found,) = connection.execute(query).fetchall()
    return found


def count(connection: psycopg.Connection, rows: str) -> int:
    """rows: what follows SELECT count(*) FROM."""
    return int(row(connection, f"SELECT count(*) FROM {rows}")[0])


def counts(url: str, schema: str, tables: dict[str, int]) -> dict[str, int]:
    with psycopg.connect(url) as connection:
        return {table: count(connection, f"{schema}.{table}") for table in tables}


# ---- a migration small enough to be read, made from mapping.yml

WIDENED = {("crm.account", "name"): 100, ("crm.person", "full_name"): 50, ("crm.sale", "subject"): 80}


def filled_by(how: str | dict[str, Any]) -> str:
    """The source side of one column, before its reference is followed."""
    if isinstance(how, str):
        how = {"from": how}
    if "value" in how:
        return f"'{how['value']}'"
    sql = f'base."{how["from"]}"' if "from" in how else f"({how['expr']})"
    if look := how.get("lookup"):
        return f"(SELECT {look['value']} FROM {look['table']} AS looked WHERE looked.{look['key']} = {sql})"
    return sql


def reference(how: str | dict[str, Any]) -> str | None:
    return how.get("ref") if isinstance(how, dict) else None


def projected(how: str | dict[str, Any]) -> str:
    if parent := reference(how):
        return f"(SELECT id FROM {TABLES[parent]['target']} WHERE source_table_id = {filled_by(how)})"
    return filled_by(how)


def migrate(connection: psycopg.Connection) -> None:
    for (target, column), width in WIDENED.items():
        connection.execute(f"ALTER TABLE {target} ALTER COLUMN {column} TYPE varchar({width + 60})")
    for name, table in TABLES.items():
        source, target, where = table["source"], table["target"], table["where"]
        later = {column: how for column, how in table["columns"].items() if reference(how) == name}
        now = {column: projected(how) for column, how in table["columns"].items() if column not in later}
        connection.execute(f"ALTER TABLE {target} ADD source_table_id integer UNIQUE")
        connection.execute(f"ALTER TABLE {target} ADD is_migrated boolean NOT NULL DEFAULT false")
        connection.execute(
            f"INSERT INTO {target} ({', '.join(now)}, source_table_id, is_migrated) "
            f"SELECT {', '.join(now.values())}, base.id, true FROM {source} AS base WHERE {where}"
        )
        connection.execute(f"ANALYZE {target}")
        for column, how in later.items():
            connection.execute(
                f"UPDATE {target} AS t SET {column} = {projected(how)} "
                f"FROM {source} AS base WHERE base.id = t.source_table_id AND {filled_by(how)} IS NOT NULL"
            )


# ---- the databases


def test_loads_once_and_finds_it_again(demo: tuple[str, str], admin_url: str) -> None:
    assert load.load_demo(admin_url) == demo
    assert counts(demo[0], "legacy", ROWS) == ROWS
    assert counts(demo[1], "crm", OWN_ROWS) == OWN_ROWS


def test_what_is_there_is_left_alone(demo: tuple[str, str], admin_url: str) -> None:
    with psycopg.connect(demo[1], autocommit=True) as connection:
        connection.execute("UPDATE crm.activity SET note = 'mine'")
    load.load_demo(admin_url)
    with psycopg.connect(demo[1]) as connection:
        assert count(connection, "crm.activity WHERE note = 'mine'") == OWN_ROWS["activity"]


def test_a_killed_load_is_begun_again(demo: tuple[str, str], admin_url: str) -> None:
    drop(admin_url, load.TARGET)
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {load.TARGET}_unfinished")
    # still connected, as a killed client's backend may be
    with psycopg.connect(load._url(admin_url, f"{load.TARGET}_unfinished")) as half:
        half.execute("CREATE SCHEMA crm")
        half.commit()
        assert load.load_demo(admin_url) == demo
    assert counts(demo[1], "crm", OWN_ROWS) == OWN_ROWS
    with psycopg.connect(admin_url) as admin:
        assert count(admin, f"pg_database WHERE datname = '{load.TARGET}_unfinished'") == 0


def test_the_same_rows_every_time(demo: tuple[str, str], both: psycopg.Connection) -> None:
    with psycopg.connect(demo[0]) as source:
        for table in ROWS:
            digest = f"SELECT md5(string_agg(t::text, '|' ORDER BY id)) FROM legacy.{table} AS t"
            assert row(source, digest) == row(both, digest)


def test_the_mapping_in_the_docs_runs_against_it(demo: tuple[str, str], transactional_db: None) -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```", DOCUMENTED.read_text(), flags=re.MULTILINE | re.DOTALL)
    save_spec(file.parse(text))
    environment = Environment(name="demo")
    environment.source_url, environment.target_url = demo
    environment.save()
    rehearsal = rehearsals.rehearse(Mapping.objects.get(), environment, None, rows=1_000)
    assert [table["failed"] for table in rehearsal.report["tables"]] == [0, 0]
    assert rehearsals.is_clean(rehearsal.report), rehearsal.report


@pytest.mark.parametrize(
    ("url", "rest"),
    [
        ("postgresql://u:p%40@h:5433/postgres", "postgresql://u:p%40@h:5433/demo"),
        ("postgresql:///postgres?host=/tmp&port=1", "postgresql:///demo?host=/tmp&port=1"),
    ],
)
def test_only_the_database_changes_in_the_url(url: str, rest: str) -> None:
    assert load._url(url, "demo") == rest


# ---- the values


@pytest.mark.parametrize(
    ("what", "table", "condition"),
    [
        ("a company name too long for crm.account", "company", "length(btrim(name)) > 100"),
        ("blanks around a company name", "company", "name <> btrim(name)"),
        ("nobody as owner", "company", "owner = 0"),
        ("names too long for crm.person", "contact", "length(first_name || ' ' || last_name) > 50"),
        ("accent", "contact", "first_name ~ 'é'"),
        ("apostrophe", "contact", "last_name ~ ''''"),
        ("quote", "contact", "first_name ~ '\"'"),
        ("emoji", "contact", "first_name ~ '😀'"),
        ("other scripts", "contact", "first_name ~ '美'"),
        ("leading blanks", "contact", "first_name ~ '^ +[^ ]'"),
        ("percent sign", "contact", "last_name ~ '%'"),
        ("backslash", "contact", r"last_name ~ '\\'"),
        ("empty string", "contact", "first_name = ''"),
        ("NULL", "contact", "first_name IS NULL"),
        ("no name at all", "contact", "coalesce(first_name, '') || last_name = ''"),
        ("e-mail in mixed case", "contact", "email <> lower(email)"),
        ("a manager who came later", "contact", "manager_id > id"),
        ("deleted", "contact", "deleted = 'Y'"),
        ("a subject too long for crm.sale", "orders", 'length("desc") > 80'),
        ("nobody as buyer", "orders", "contact_id = 0"),
        (
            "deleted, as its buyer is",
            "orders",
            "deleted = 1 AND contact_id IN (SELECT id FROM legacy.contact WHERE deleted = 'Y')",
        ),
    ],
)
def test_the_awkward_is_there(demo: tuple[str, str], what: str, table: str, condition: str) -> None:
    with psycopg.connect(demo[0]) as source:
        assert count(source, f"legacy.{table} WHERE {condition}") > 0, what


# ---- the mapping


def test_the_file_is_valid_and_survives_a_dump() -> None:
    spec = file.parse(load.MAPPING.read_bytes())
    assert [table.name for table in spec.tables] == list(TABLES)
    assert (spec.name, spec.on_error, spec.widen) == ("crm-merge", "stop", True)
    assert canonical.sha256(file.parse(canonical.dump(spec))) == canonical.sha256(spec)


def test_just_three_columns_must_be_widened(both: psycopg.Connection) -> None:
    too_small = {}
    limits = both.execute(
        "SELECT table_schema || '.' || table_name, column_name, character_maximum_length "
        "FROM information_schema.columns WHERE table_schema = 'crm' AND character_maximum_length IS NOT NULL"
    )
    for target, column, now in limits.fetchall():
        limit = WIDENED.get((target, column), now)
        if count(both, f"{target} WHERE is_migrated AND length({column}) > {limit}"):
            too_small[target, column] = limit
    assert too_small == WIDENED


def test_every_living_row_arrives_once_beside_those_that_were_there(both: psycopg.Connection) -> None:
    for table in TABLES.values():
        target, own = table["target"], OWN_ROWS[table["target"].split(".")[1]]
        living = count(both, f"{table['source']} WHERE {table['where']}")
        assert count(both, f"{target} WHERE is_migrated") == living
        assert count(both, f"{target} WHERE NOT is_migrated") == own
        assert row(both, f"SELECT min(id) FROM {target} WHERE is_migrated")[0] > own


def test_no_reference_is_lost(both: psycopg.Connection) -> None:
    for table in TABLES.values():
        for column, how in table["columns"].items():
            if reference(how):
                lost = count(
                    both,
                    f"{table['target']} AS t JOIN {table['source']} AS base ON base.id = t.source_table_id "
                    f"WHERE t.{column} IS NULL AND {filled_by(how)} IS NOT NULL",
                )
                assert lost == 0, (table["target"], column)


EXPECTED = {
    "accounts": (
        """
        SELECT c.id, trim(c.name), (ARRAY['prospect', 'active', 'dormant'])[c.status + 1], c."group", r.label,
               r.country, o.id, c.credit_cents, to_date(nullif(c.founded, 0)::text, 'YYYYMMDD'),
               upper(translate(c.vat_no, ' ', ''))
        FROM legacy.company c
        LEFT JOIN legacy.region r ON r.id = c.region_id LEFT JOIN legacy.company o ON o.id = c.owner
        WHERE c.deleted = 0 AND c.status <> 9""",
        """
        SELECT a.source_table_id, a.name, a.status, a.tier, a.region,
               a.country_code, p.source_table_id, (a.credit_limit * 100)::integer, a.founded_on,
               CASE WHEN a.has_vat THEN a.vat_number WHEN c.vat_no IS NOT NULL THEN '' END
        FROM crm.account a
        LEFT JOIN crm.account p ON p.id = a.parent_id JOIN legacy.company c ON c.id = a.source_table_id
        WHERE a.is_migrated AND a.status <> 'closed'""",
    ),
    "persons": (
        """
        SELECT c.id, c.company_id, m.id,
               coalesce(nullif(trim(concat_ws(' ', nullif(trim(c.first_name), ''), c.last_name)), ''),
                        '(no name)'),
               nullif(trim(lower(c.email)), ''), to_date(nullif(c.born, 0)::text, 'YYYYMMDD'), c."user",
               c.mailing IS NOT DISTINCT FROM 'J'
        FROM legacy.contact c LEFT JOIN legacy.contact m ON m.id = c.manager_id
        WHERE c.deleted IS DISTINCT FROM 'Y'""",
        """
        SELECT p.source_table_id, a.source_table_id, m.source_table_id,
               p.full_name, p.email, p.born_on, p.login, p.newsletter
        FROM crm.person p
        JOIN crm.account a ON a.id = p.account_id LEFT JOIN crm.person m ON m.id = p.manager_id
        WHERE p.is_migrated""",
    ),
    "sales": (
        """
        SELECT o.id, 'L-' || o.id, o.company_id, c.id, to_date(o.ordered, 'DD.MM.YYYY'),
               to_date(nullif(o.paid, 0)::text, 'YYYYMMDD'), o.status = 2, nullif(trim(o."desc"), ''),
               upper(o.currency), o.net_cents, round(o.net_cents * o.tax_rate / 100.0)::integer,
               lower(trim(o.clerk))
        FROM legacy.orders o LEFT JOIN legacy.contact c ON c.id = o.contact_id
        WHERE o.deleted = 0""",
        """
        SELECT s.source_table_id, s.number, a.source_table_id, p.source_table_id, s.sold_on,
               s.paid_on, s.status = 'paid', s.subject,
               s.currency, (s.net * 100)::integer, ((s.gross - s.net) * 100)::integer, s.clerk
        FROM crm.sale s
        JOIN crm.account a ON a.id = s.account_id LEFT JOIN crm.person p ON p.id = s.person_id
        WHERE s.is_migrated""",
    ),
}


@pytest.mark.parametrize("what", EXPECTED)
def test_the_mapping_means_what_a_person_would_write(both: psycopg.Connection, what: str) -> None:
    expected, got = EXPECTED[what]
    assert both.execute(f"({expected}) EXCEPT ALL ({got}) LIMIT 3").fetchall() == []
    assert both.execute(f"({got}) EXCEPT ALL ({expected}) LIMIT 3").fetchall() == []


def test_telephone_numbers_keep_their_digits(both: psycopg.Connection) -> None:
    wrong = both.execute(
        r"""
        SELECT c.phone, p.phone FROM legacy.contact c JOIN crm.person p ON p.source_table_id = c.id
        WHERE ltrim(regexp_replace(c.phone, '\D', '', 'g'), '0') <> coalesce(ltrim(p.phone, '+0'), '')"""
    )
    assert wrong.fetchall() == []
