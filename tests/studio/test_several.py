"""One answer for many tables, in one edit; and targets by a rule for names."""

from __future__ import annotations

import psycopg
import pytest

from mappings.models import Environment, TableMapping
from mappings.studio.live import forget
from tests.studio.conftest import Desk

pytestmark = pytest.mark.django_db


def change(shop: Desk, **fields: str | list[str]) -> str:
    """What the page says after the answers were given to both tables of the mapping."""
    tables = [str(table.pk) for table in shop.mapping.tables.all()]
    posted = {"table": tables, "map": "1", "is_migrated": "is_migrated", **fields}
    return shop.client.post(f"{shop.url}several/change/", posted, follow=True).content.decode()


def said(shop: Desk) -> dict[str, dict[str, object]]:
    """What each table says besides its columns."""
    return {
        table.name: {key: value for key, value in table.values.items() if key not in ("columns", "source")}
        for table in TableMapping.objects.filter(mapping=shop.mapping)
    }


def test_one_answer_is_given_to_many_tables_and_undone_at_once(shop: Desk) -> None:
    before = said(shop)
    assert "Changed 2 tables" in change(shop, change=["where", "triggers"], where="id > 3", triggers="off")
    assert {table["where"] for table in said(shop).values()} == {"id > 3"}
    assert {table["triggers"] for table in said(shop).values()} == {"off"}
    shop.client.post(f"{shop.url}undo/")
    assert said(shop) == before

    page = change(shop, change="where", where="deleted = 1")
    assert "Changed 1 table." in page and "contact (has no column deleted)" in page
    assert said(shop)["company"]["where"] == "deleted = 1" and "where" not in said(shop)["contact"]
    page = change(shop, change=["existing"], match="lower(name)", then="keep")
    assert "contact (has no column name)" in page
    assert said(shop)["company"]["existing"] == {"match": ["lower(name)"], "then": "keep"}
    change(shop, change="link", source_id="old_id", is_migrated="")
    assert {str(table["link"]) for table in said(shop).values()} == {"{'source_id': 'old_id'}"}
    assert {table["is_migrated"] for table in said(shop).values()} == {False}
    page = change(shop, change="where", where="lower(")
    assert 'role="alert"' in page and "lower(</textarea>" in page, "what is refused loses nothing typed"
    assert "Tick the tables" in change(shop, table=[], change="where", where="true")


def test_tables_are_removed_together_with_those_that_point_to_them(shop: Desk) -> None:
    company = str(shop.table().pk)
    assert "contact.account_id point to" in change(shop, table=[company], remove="1")
    assert shop.mapping.tables.count() == 2
    assert "Removed 2 tables" in change(shop, remove="1")
    assert shop.mapping.tables.count() == 0


def test_targets_are_told_by_a_rule_for_names(shop: Desk) -> None:
    environment = Environment.objects.get()
    with psycopg.connect(environment.target_url) as session:
        session.execute('CREATE TABLE new."t_Company_x" (id int PRIMARY KEY)')
    forget(environment)
    rule = {"from": "{name}", "to": "new.t_{name}_x"}
    page = shop.client.get(f"{shop.url}add/", rule).content.decode()
    assert page.count('value="new.&quot;t_Company_x&quot;"') == 1 + 1, (
        "as the target of one, and among all targets"
    )
    assert "no table of that name" in page
    assert "Write {name} once" in shop.client.get(f"{shop.url}add/", {"to": "new."}).content.decode()
    page = change(shop, change="targets", **rule)
    assert "Changed 1 table." in page and "contact (no such table in the target)" in page
    assert said(shop)["company"]["target"] == 'new."t_Company_x"'
