"""`mapping suggest`: what it proposes for two live databases, that its draft loads, and what it refuses."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command

from mappings.language.file import parse
from mappings.models import Mapping
from tests.conftest import Pair
from tests.suggesting.conftest import NEW, execute, proposed, refused, suggest

SOURCES = {"crm.client": "public.customer", "crm.bill": "public.invoice"}


def columns(found: dict[str, Any], target: str) -> dict[str, dict[str, Any]]:
    """The proposed columns of the right pair that leads to a target table, by their names."""
    pairs = {(table["source"], table["target"]): table["columns"] for table in found["tables"]}
    return {column["target"]: column for column in pairs[SOURCES[target], target]}


def test_each_target_column_gets_a_source_a_way_a_score_and_a_reason(shop: Pair) -> None:
    found = proposed()
    assert set(found) == {"tables"}
    assert set(found["tables"][0]) == {"source", "target", "score", "reason", "columns"}
    client, bill = columns(found, "crm.client"), columns(found, "crm.bill")
    for column in (*client.values(), *bill.values()):
        assert set(column) == {"target", "source", "how", "expr", "score", "sure", "reason"}
        assert 0 < column["score"] <= 1 and column["reason"]
    said = {name: (c["source"], c["how"], c["expr"]) for name, c in {**client, **bill}.items()}
    assert said == {
        "full_name": ("first_name", "expr", "concat_ws(' ', first_name, last_name)"),
        "e_mail": ("email", "from", None),
        "telephone": ("phone", "from", None),
        "state": ("status", "expr", "case status when 'A' then 'active' when 'C' then 'closed' end"),
        "born": ("birth_date", "expr", "birth_date::date"),
        "referrer_id": ("referred_by", "ref", None),
        "genre": ("genre_id", "lookup", None),
        "client_id": ("customer_id", "ref", None),
        "billed_on": ("invoice_date", "from", None),
        "amount_cents": ("total", "expr", "(total * 100)::integer"),
        "is_paid": ("paid_flag", "expr", "paid_flag <> 0"),
    }
    assert client["e_mail"]["sure"] and "unique" in client["e_mail"]["reason"]
    assert "id" not in client and "shoe_size" not in client  # one fills itself, nothing is like the other


def test_the_draft_loads_and_plans_with_its_reasons_beside_it(shop: Pair, tmp_path: Path) -> None:
    file = tmp_path / "crm.yml"
    assert "2 tables, 11 columns proposed" in suggest("--output", str(file))
    text = file.read_text()
    assert "# sure 0.9" in text and "# open: shoe_size (integer) stays empty" in text
    call_command("mapping", "load", str(file), stdout=io.StringIO())
    call_command("mapping", "plan", "crm", "--env", "local", stdout=io.StringIO())
    customer, invoice = parse(text).tables
    refs = {c.name: (c.from_, c.ref.table) for t in (customer, invoice) for c in t.columns if c.ref}
    assert refs == {
        "referrer_id": (("referred_by",), "customer"),  # of the table to itself
        "client_id": (("customer_id",), "customer"),
    }


def test_what_a_person_chose_stays_and_only_the_gaps_are_proposed(shop: Pair, tmp_path: Path) -> None:
    chosen = """
        version: 1
        name: crm
        on_error: quarantine
        tables:
          - source: customer
            target: crm.client
            columns: {full_name: email, telephone: {value: none}}
    """
    (tmp_path / "mine.yml").write_text(chosen)
    call_command("mapping", "load", str(tmp_path / "mine.yml"), stdout=io.StringIO())
    client = columns(proposed(), "crm.client")
    assert {"full_name", "telephone"}.isdisjoint(client)
    assert "e_mail" not in client or client["e_mail"]["source"] != "email"  # it is taken
    draft = parse(suggest())
    mine = parse(chosen)
    assert draft.on_error == "quarantine" and draft.tables[0].source == "customer"
    assert draft.tables[0].columns[:2] == mine.tables[0].columns
    assert {"born", "genre"} < {column.name for column in draft.tables[0].columns}
    assert [table.target for table in draft.tables] == ["crm.client", "crm.bill"]
    assert draft.tables[1].columns[0].ref is not None
    assert Mapping.objects.get().revisions.count() == 1  # nothing is saved


def test_only_the_pairs_that_are_named_are_looked_at(shop: Pair) -> None:
    found = proposed("--table", "invoice=crm.bill")
    assert [(table["source"], table["target"]) for table in found["tables"]] == [
        ("public.invoice", "crm.bill")
    ]
    assert columns(found, "crm.bill")["client_id"]["how"] == "ref"
    draft = suggest("--table", 'invoice="crm"."bill"')
    assert "# open: client_id from customer_id, once public.customer into crm.client is mapped too" in draft
    assert "client_id" not in {column.name for column in parse(draft).tables[0].columns}


def test_up_to_three_targets_are_listed_for_a_source_table_and_one_is_drafted(shop: Pair) -> None:
    execute(shop.target, "CREATE TABLE crm.customer_old (id int, email text, phone text)")
    listed = [t for t in proposed()["tables"] if t["source"] == "public.customer"]
    assert listed[0]["target"] == "crm.client" and 1 < len(listed) <= 3
    assert [t["score"] for t in listed] == sorted((t["score"] for t in listed), reverse=True)
    assert not any(column["sure"] for table in listed[1:] for column in table["columns"])
    assert [table.target for table in parse(suggest()).tables] == ["crm.client", "crm.bill"]


def test_names_that_need_quotes_and_names_that_do_not_exist_in_the_source(shop: Pair) -> None:
    execute(shop.source, 'CREATE TABLE "Odd #1" ("User" text, "order" int NOT NULL UNIQUE, "E-Mail" text)')
    execute(
        shop.target, 'CREATE TABLE crm."Odd: one" ("user name" varchar(9), "order no" text, "e-mail" text)'
    )
    draft = suggest("--table", '"Odd #1"=crm."Odd: one"')
    (table,) = parse(draft).tables
    assert (table.key, table.key_is_content) == (("order",), False)
    assert {c.name: c.from_ or c.expr for c in table.columns} == {
        "user name": ("User",),
        "order no": '"order"::text',
        "e-mail": ("E-Mail",),
    }


def test_a_file_that_somebody_changed_is_not_written_over(shop: Pair, tmp_path: Path) -> None:
    file = tmp_path / "crm.yml"
    suggest("--output", str(file))
    suggest("--output", str(file))  # nobody has touched it
    file.write_text(changed := file.read_text().replace("email", "phone"))
    line = refused("suggest", "crm", "--env", "local", "--output", str(file))
    assert line == [f"The file {file} is there and is no untouched draft: name another, or move it away."]
    assert file.read_text() == changed


def test_what_does_not_exist_is_refused_all_at_once(shop: Pair) -> None:
    assert refused("suggest", "crm", "--env", "nope") == [
        "There is no environment called nope; known are: local."
    ]
    pairs = ("nope=crm.client", "customer=crm.nope", "customer")
    options = [word for pair in pairs[:2] for word in ("--table", pair)]
    assert refused("suggest", "crm", "--env", "local", *options) == [
        'nope=crm.client: there is no table "nope" in the source database',
        'customer=crm.nope: there is no table "crm"."nope" in the target database',
    ]
    assert "must be SOURCE=TARGET" in refused("suggest", "crm", "--env", "local", "--table", pairs[2])[0]
    assert "cannot be a mapping's name" in refused("suggest", "a b", "--env", "local")[0]


def test_in_one_database_the_fuller_schema_goes_into_the_other(shop: Pair) -> None:
    execute(shop.source, NEW)
    call_command(
        "environment",
        "set",
        "local",
        "--source",
        shop.source,
        "--target",
        shop.source,
        stdout=io.StringIO(),
    )
    first = {table["source"]: table["target"] for table in reversed(proposed()["tables"])}
    assert first["public.customer"] == "crm.client" and first["public.invoice"] == "crm.bill"
    assert not any(source.startswith("crm.") for source in first)
    same = refused("suggest", "crm", "--env", "local", "--table", "customer=public.customer")
    assert same == ["customer=public.customer: public.customer cannot be its own target"]


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_table_that_somebody_locks_is_named_with_who_does(shop: Pair, side: str) -> None:
    url, table = (shop.source, "customer") if side == "source" else (shop.target, "crm.client")
    with psycopg.connect(url) as holder:
        holder.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        (line,) = refused("suggest", "crm", "--env", "local")
    assert f"{table} is locked by pid" in line
