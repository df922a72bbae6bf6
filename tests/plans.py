"""A mapping of three tables and the plan that it might become, made without any database."""

from __future__ import annotations

from typing import Literal

from mappings.language.canonical import sha256
from mappings.language.file import parse
from mappings.plan.keys import KeyPart, TargetKey
from mappings.plan.measures import Measure
from mappings.plan.model import Plan
from mappings.plan.references import LookupBy, Reference
from mappings.plan.schema_steps import Step
from mappings.plan.table_plan import Destination, Existing, Feed, Link, TablePlan, Value
from mappings.problems import Problem
from mappings.sql import NOTHING, verbatim

MAPPING = """
version: 1
name: crm-merge
description: Companies, contacts and orders of the old CRM into the new one
on_error: quarantine
tables:
  - source: legacy.company
    where: deleted = 0
    target: crm.account
    existing: {match: [vat_number], then: update}
    columns:
      name: {expr: "btrim(name)"}
      email: email
      origin: {value: legacy}
  - source: legacy.contact
    where: deleted = 0
    target: crm.person
    columns:
      name: {expr: "btrim(name)"}
      email: {expr: "nullif(lower(btrim(email)), '')"}
      region: {from: region_id, lookup: {table: legacy.region, key: id, value: label}}
      account_id: {from: company_id, ref: company}
  - source: legacy.orders
    where: deleted = 0
    target: crm.sale
    columns:
      name: {expr: "btrim(name)"}
      origin: {value: legacy}
      account_id: {from: company_id, ref: company, missing: "null"}
"""
TABLES = (
    ("company", "legacy.company", "crm.account", 48_211),
    ("contact", "legacy.contact", "crm.person", 391_877),
    ("orders", "legacy.orders", "crm.sale", 1_204_530),
)


def make_plan(*, blocked: bool = False) -> Plan:
    """The plan of `make_mapping` in staging, with steps of every weight, measures and warnings."""
    return Plan(
        mapping="crm-merge", revision=1, sha256=sha256(parse(MAPPING)), environment="staging", same_database=False,
        source_identity="a", target_identity="b", on_error="quarantine", max_quarantined=1000,
        tables=tuple(make_table_plan(*table) for table in TABLES),
        selected=tuple(table[0] for table in TABLES),
        steps=make_steps(),
        measures=(
            Measure("company", "name", 138, 100, 200), Measure("contact", "full_name", 71, 80, None),
            Measure("contact", "email", 96, 120, None), Measure("orders", "subject", 310, 255, 512),
        ),
        warnings=(
            Problem("tables[0].columns.name", "12 values of company.name are longer than the 100 characters of "
                    "crm.account.name; the column is widened to varchar(200)."),
            Problem("tables[2].columns.net", "3 values of orders.net_cents lose decimals: 2.505 becomes 2.51."),
        ),
        blockers=(
            Problem("tables[1].target", 'The view crm.person_list depends on crm.person.full_name; '
                    "drop it first, or map the name to another column."),
        ) if blocked else (),
        next_run=8,
    )  # fmt: skip


def make_table_plan(name: str, source: str, target: str, estimate: int) -> TablePlan:
    """One table of the plan: values, an expression, a reference."""
    text, sized = "character varying", "character varying(200)"
    values = (
        Value(
            "name",
            verbatim('pg_catalog."btrim"("name")'),
            verbatim(text),
            verbatim(text),
            verbatim(sized),
            True,
        ),
        Value(
            "email",
            verbatim('NULLIF(pg_catalog."lower"("email"), \'\')'),
            verbatim(text),
            verbatim(text),
            verbatim(sized),
            True,
        ),
        Value(
            "region",
            verbatim('"__lookup_3"."__value"'),
            verbatim(text),
            verbatim(text),
            verbatim(sized),
            True,
        ),
        Value(
            "origin", verbatim("'legacy'::text"), verbatim("text"), verbatim("text"), verbatim("text"), True
        ),
    )
    by = (LookupBy(verbatim('"company_id"::integer'), verbatim("integer")),)
    missing: Literal["null", "stop"] = "null" if name == "orders" else "stop"
    references = (Reference("account_id", verbatim("bigint"), "company", "id", by, missing, False),)
    matched = Existing((verbatim("vat_number"),), (verbatim("w.vat_number"),), "update")
    key = KeyPart(
        "id", verbatim("id"), verbatim("integer"), verbatim("integer"), in_base=True, collatable=False
    )
    return TablePlan(
        name=name, source=source, target=target, values=values,
        references=() if name == "company" else references, parents=() if name == "company" else ("company",),
        feed=Feed(
            base_sql=verbatim(source), from_sql=verbatim(source), where_sql=verbatim("deleted = 0"), order_sql=None,
            distinct=False, key=(key,), key_is_content=False, range_parts=1, stepped=True, estimate=estimate,
        ),
        into=Destination(
            target_sql=verbatim(target), target_key=(TargetKey("id", verbatim("bigint"), verbatim("nextval('x')")),),
            existing=matched if name == "company" else None, serial=True, overriding=False, sequences=(),
        ),
        link=Link(
            source_id=("source_table_id",), is_migrated="is_migrated", keep_map=True, link_by="source_id",
            backref=None, aligned=True,
        ),
    )  # fmt: skip


def make_steps() -> tuple[Step, ...]:
    """A widening, an added column and an index of the first table, and one full rewrite."""

    def step(
        kind: str, title: str, sql: str, undo: str, weight: str, lock: str, before: str, after: str
    ) -> Step:
        return Step(
            kind=kind, table="company", relation="crm.account", side="target", name="x", title=title,  # type: ignore[arg-type]
            sql=(sql,), undo=(undo,), weight=weight, lock=lock, alone=kind == "add_index",  # type: ignore[arg-type]
            before=verbatim(before), after=verbatim(after), fits=NOTHING,
        )  # fmt: skip

    return (
        step(
            "widen", "Widen crm.account.name from varchar(100) to varchar(200)",
            "ALTER TABLE crm.account ALTER COLUMN name TYPE character varying(200)",
            "ALTER TABLE crm.account ALTER COLUMN name TYPE character varying(100)",
            "catalog only", "ACCESS EXCLUSIVE, for an instant", "varchar(100)", "varchar(200)",
        ),
        step(
            "add_column", "Add crm.account.source_table_id",
            "ALTER TABLE crm.account ADD COLUMN source_table_id integer",
            "ALTER TABLE crm.account DROP COLUMN source_table_id", "catalog only",
            "ACCESS EXCLUSIVE, for an instant", "", "integer",
        ),
        step(
            "add_index", "Build a unique index on crm.account.source_table_id",
            "CREATE UNIQUE INDEX CONCURRENTLY account_source_table_id ON crm.account (source_table_id)",
            "DROP INDEX CONCURRENTLY crm.account_source_table_id", "index build",
            "SHARE UPDATE EXCLUSIVE, reads and writes go on", "", "unique index",
        ),
        step(
            "widen", "Widen crm.sale.net from integer to bigint",
            "ALTER TABLE crm.sale ALTER COLUMN net TYPE bigint", "ALTER TABLE crm.sale ALTER COLUMN net TYPE integer",
            "full rewrite", "ACCESS EXCLUSIVE, while 1.2 million rows are rewritten", "integer", "bigint",
        ),
    )  # fmt: skip
