"""A mapping on its page: what fills each column, how it fits, real rows; saved as it is made, and never lost."""

from __future__ import annotations

import html
import re

import psycopg
import pytest
from django.contrib.auth.models import User
from django.test import Client

from mappings.language.file import parse
from mappings.models import Environment, Mapping
from mappings.store import save_spec, spec_of
from mappings.studio.draft import digest
from mappings.studio.live import live_of
from mappings.studio.looking.table_look import TableLook, look_at
from mappings.studio.places import places_of
from tests.conftest import Databases
from tests.factories import environment_at
from tests.studio.conftest import FILE, Desk, environment, operator

pytestmark = pytest.mark.django_db


def look(desk: Desk, number: int = 0) -> TableLook:
    return look_at(desk.mapping, desk.table(number), live_of(Environment.objects.get()))


def fit(desk: Desk, column: str, number: int = 0) -> str:
    """The verdict on a column and what it rests on."""
    row = look(desk, number).column(column)
    assert row is not None
    return f"{row.fit.word}: {row.fit.why}"


def words(text: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def test_every_target_column_is_shown_with_type_fit_and_values(shop: Desk) -> None:
    page = shop.client.get(f"{shop.url}change/").content.decode()
    for name in ("id", "name", "region", "founded_on", "kind", "created"):
        assert f'<span class="column-name">{name}</span>' in page
    assert "varchar(20), NOT NULL" in page and "19,236" not in page
    assert "Company x" in words(page) and "legacy" in page
    assert "Nothing uses these source columns: region_id , founded" in words(page)
    assert "40 rows" in words(page).replace("\u202f", " ").replace("\xa0", " ")


@pytest.mark.parametrize("layout", ["one", "two"])
def test_fits_are_told_by_types_and_by_rows(databases: Databases, layout: str) -> None:
    environment(databases, layout)
    desk = Desk(Client(), save_spec(parse(FILE)).mapping, User.objects.create_superuser("olga"))
    desk.client.force_login(desk.user)
    assert fit(desk, "name").startswith("widened to varchar(")
    assert fit(desk, "id") == "default: "
    assert fit(desk, "account_id", 1) == "fits: the row that company becomes"
    desk.fill("region", text="region_id")
    assert fit(desk, "region") == "fits: integer becomes text"
    desk.fill("founded_on", text="founded")
    assert fit(desk, "founded_on").startswith("fails: invalid input syntax for type date")
    desk.fill("founded_on", text="make_date(founded, 1, 1)")
    assert fit(desk, "founded_on") == "fits: "
    row = look(desk).column("founded_on")
    assert row and [pair.after for pair in row.values] == ["1991-01-01", "1992-01-01", "1993-01-01"]
    assert row.values[0].before == ("1991",)
    desk.fill("kind", how="default")
    assert fit(desk, "kind") == "must be filled: NOT NULL without a default"
    assert look(desk).columns[0].name == "kind", "what must be filled and is not stands on top"


def test_a_value_that_fails_is_told_where_it_is_typed_and_found_among_the_rows(shop: Desk) -> None:
    shop.fill("born_on", number=1, text="born::date")
    assert fit(shop, "born_on", 1).startswith(("fits", "cannot", "fails"))
    shop.fill("born_on", number=1, text="born")
    rows = shop.client.get(f"{shop.at(1)}rows/", {"filter": "fails", "column": "born_on"})
    assert words(rows.content.decode()).count("soon") >= 1 and "2001-02-03" not in rows.content.decode()
    longest = shop.client.get(f"{shop.at()}rows/", {"filter": "longest", "column": "name"}).content.decode()
    assert "Company " + "x" * 38 in longest
    second = shop.client.get(f"{shop.at()}rows/", {"page": "1"}).content.decode()
    assert "Rows 11 to 20" in words(second)


def test_expressions_are_checked_while_they_are_typed(shop: Desk) -> None:
    check = f"{shop.at()}check/"
    wrong = shop.client.get(check, {"column": "region", "text": "lower(region_id"}).content.decode()
    assert "<mark>" in wrong
    refused = shop.client.get(check, {"column": "region", "text": "pg_sleep(1)"}).content.decode()
    assert "pg_sleep" in refused
    right = shop.client.get(check, {"column": "region", "text": "'R' || region_id"}).content.decode()
    assert "R2" in words(right)
    unknown = shop.client.get(check, {"column": "region", "text": "lower(nothing)"}).content.decode()
    assert "nothing" in words(unknown) and "cannot" in unknown
    assert shop.columns().keys() == {"name", "kind"}, "checking changes nothing"
    offered = shop.client.get(f"{shop.at()}completion/").json()
    assert {"insert": "founded", "show": "founded", "note": "integer"} in offered["columns"]
    assert any(one["show"].startswith("lpad(") for one in offered["functions"])


def test_each_change_is_saved_and_can_be_undone_and_done_again(shop: Desk) -> None:
    before = spec_of(shop.mapping)
    shop.fill("region", text="region_id", was=digest(None))
    shop.fill("founded_on", text="", how="default")
    assert shop.columns()["region"] == {"name": "region", "from": "region_id"}
    assert shop.mapping.edits.count() == 1, "an edit that changes nothing is none"
    shop.client.post(f"{shop.url}undo/")
    assert spec_of(shop.mapping) == before
    shop.client.post(f"{shop.url}redo/")
    assert "region" in shop.columns()
    shop.client.post(f"{shop.url}undo/")
    shop.fill("region", text="lower(name)")
    assert "nothing to do again" in shop.client.post(f"{shop.url}redo/", follow=True).content.decode()
    for _ in range(3):
        shop.client.post(f"{shop.url}undo/")
    assert spec_of(shop.mapping) == before
    assert shop.mapping.revisions.count() == 1


def test_an_older_page_does_not_overwrite_a_newer_one(shop: Desk) -> None:
    """Two people on one column: the second is told by whom it was changed, and keeps what was typed."""
    was = digest(shop.columns()["name"])
    other = Client()
    other.force_login(operator("peer", "change_mapping", "view_mapping"))
    shop._replace(client=other).fill("name", text="upper(name)", was=was)
    told = shop.fill("name", text="lower(name)", was=was)
    assert "peer changed this meanwhile (name: upper(name))" in words(told)
    assert ">lower(name)</textarea>" in told and "It says upper(name) now" in words(told)
    assert shop.columns()["name"] == {"name": "name", "expr": "upper(name)"}
    shop.fill("region", text="region_id", was=digest(None))
    assert shop.columns()["region"] == {"name": "region", "from": "region_id"}, (
        "other columns are no conflict"
    )
    again = re.search(r'name="was" value="(\w+)"', told)
    assert again
    shop.fill("name", text="lower(name)", was=again[1])
    assert shop.columns()["name"]["expr"] == "lower(name)", "meant, once it was seen"


def fields(page: str, action: str) -> dict[str, str]:
    """The hidden fields of the form that leads there."""
    form = page.partition(f'action="{action}"')[2].partition("</form>")[0]
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form)
    return {name: html.unescape(value) for name, value in found}


def test_the_older_of_two_tabs_undoes_nothing_of_the_newer(shop: Desk) -> None:
    """Settings, Undo, and a table that is taken away: what a peer did since is kept, and named."""
    page = shop.client.get(shop.url, follow=True).content.decode()
    peer = shop._replace(client=Client())
    peer.client.force_login(operator("peer", "change_mapping", "view_mapping"))
    usual = {"name": "shop", "widen": "1", "on_error": "stop", "max_quarantined": "1000", "params": ""}
    shown, at = fields(page, f"{shop.url}settings/"), f"{shop.url}settings/"
    peer.client.post(at, {**usual, **shown, "description": "theirs"})
    shop.client.post(at, {**usual, **shown, "description": "", "max_quarantined": "7"})
    shop.mapping.refresh_from_db()
    assert (shop.mapping.description, shop.mapping.max_quarantined) == ("theirs", 7), "left as it was shown"
    told = shop.client.post(at, {**usual, **shown, "description": "mine"}).content.decode()
    assert "peer changed this meanwhile" in words(told) and 'value="mine"' in told
    shop.mapping.refresh_from_db()
    assert shop.mapping.description == "theirs"
    shop.client.post(at, {**usual, **fields(told, at), "description": "mine"})
    shop.mapping.refresh_from_db()
    assert shop.mapping.description == "mine", "meant, once it was seen"

    page = shop.client.get(shop.url, follow=True).content.decode()
    peer.fill("name", text="upper(name)")
    for where in (f"{shop.url}undo/", f"{shop.at()}remove/"):
        told = shop.client.post(where, fields(page, where), follow=True).content.decode()
        assert "peer changed this meanwhile (name: upper(name))" in words(told).lower(), where
    assert shop.columns()["name"]["expr"] == "upper(name)"
    page = shop.client.get(shop.url, follow=True).content.decode()
    shop.client.post(f"{shop.url}undo/", fields(page, f"{shop.url}undo/"))
    assert shop.columns()["name"] == {"name": "name", "from": "name"}


def test_a_loaded_file_is_an_edit_that_pages_tell_of(shop: Desk) -> None:
    """An older text is not saved over it and stays to be seen; Undo takes back the load, and no more than that."""
    shop.fill("name", text="upper(name)")
    page = shop.client.get(f"{shop.url}text/").content.decode()
    loaded = FILE.replace("deleted = 0", "deleted = 1")
    save_spec(parse(loaded))
    typed = {"text": FILE.replace("kind:", "region:"), **fields(page, f"{shop.url}text/save/")}
    told = shop.client.post(f"{shop.url}text/save/", typed).content.decode()
    assert "Somebody changed this meanwhile (Loaded a mapping file)" in words(told)
    assert "region: {value: legacy}" in html.unescape(told) and spec_of(shop.mapping) == parse(loaded)
    shop.client.post(f"{shop.url}undo/")
    assert (shop.columns()["name"]["expr"], shop.table().values["where"]) == ("upper(name)", "deleted = 0")
    shop.client.post(f"{shop.url}text/save/", {**typed, **fields(told, f"{shop.url}text/save/")})
    told = shop.client.post(f"{shop.url}undo/", follow=True).content.decode()
    assert shop.columns()["name"] == {"name": "name", "from": "name"}, told


def test_others_are_seen_and_what_they_change_is_told(shop: Desk) -> None:
    peer = Client()
    peer.force_login(operator("peer", "change_mapping"))
    peer.get(f"{shop.url}news/")
    shop._replace(client=peer).fill("region", text="region_id")
    told = words(shop.client.get(f"{shop.url}news/", {"since": "1"}).content.decode())
    assert "peer looks at this too" in told and "peer changed it: region: region_id" in told
    assert "changed it" not in words(peer.get(f"{shop.url}news/", {"since": "1"}).content.decode())


def test_the_other_questions_are_answered_with_their_effect_counted(shop: Desk) -> None:
    effects = words(shop.client.get(f"{shop.at()}effects/").content.decode())
    assert "32 of 40 rows" in effects and "the primary key tells all rows apart" in effects
    assert "1 row is in the target; none is matched" in effects
    answer = f"{shop.at()}answer/"
    shop.client.post(answer, {"question": "rows", "where": "founded > 2000"})
    assert shop.table().values["where"] == "founded > 2000"
    shop.client.post(answer, {"question": "key", "key": "region_id"})
    assert "does not tell rows apart" in words(shop.client.get(f"{shop.at()}effects/").content.decode())
    stale = shop.client.post(
        answer, {"question": "rows", "where": "", "was": digest({})}, headers={"HX-Request": "true"}
    )
    assert "olga changed this meanwhile" in stale.content.decode()
    assert shop.table().values["where"] == "founded > 2000"


def test_tables_are_added_ordered_removed_and_named_apart(shop: Desk) -> None:
    page = shop.client.get(f"{shop.url}add/").content.decode()
    assert "old.region" in page and "mapped already" in page
    ticked = {"source": ["old.region", "old.company"], "target-old.region": "new.account"}
    shop.client.post(f"{shop.url}add/ticked/", {**ticked, "target-old.company": "new.account"})
    assert [table.name for table in shop.mapping.tables.all()] == [
        "company",
        "contact",
        "region",
        "company_2",
    ]
    keys = [str(table.pk) for table in shop.mapping.tables.all()]
    shop.client.post(f"{shop.url}order/", {"table": [keys[2], keys[0]]})
    assert [table.name for table in shop.mapping.tables.all()] == [
        "region",
        "company",
        "contact",
        "company_2",
    ]
    refused = shop.client.post(f"{shop.at(1)}remove/", follow=True).content.decode()
    assert "is what contact.account_id point to" in refused
    shop.client.post(f"{shop.at(0)}remove/")
    assert [table.name for table in shop.mapping.tables.all()] == ["company", "contact", "company_2"]
    shop.client.post(f"{shop.url}undo/")
    assert shop.table(0).name == "region"
    nothing = shop.client.post(f"{shop.url}add/ticked/", {"source": ["old.region"]}, follow=True)
    assert "choose the target of each" in nothing.content.decode()


def test_the_text_says_the_same_and_nothing_typed_is_lost(shop: Desk) -> None:
    text = shop.client.get(f"{shop.url}text/").content.decode()
    assert "kind: {value: legacy}" in html.unescape(text)
    bad = FILE.replace("deleted = 0", "deleted = (").replace("name: name", "name: [1")
    refused = shop.client.post(f"{shop.url}text/save/", {"text": bad, "version": shop.mapping.version})
    assert "Nothing was changed" in refused.content.decode() and "name: [1" in html.unescape(
        refused.content.decode()
    )
    assert spec_of(shop.mapping) == parse(FILE)
    good = FILE.replace("deleted = 0", "deleted = 1")
    stale = shop.client.post(f"{shop.url}text/save/", {"text": good, "version": "0"}, follow=True)
    assert spec_of(shop.mapping) == parse(FILE) and "changed meanwhile" in stale.content.decode()
    shop.mapping.refresh_from_db()
    rows = list(shop.mapping.tables.values_list("pk", flat=True))
    shop.client.post(f"{shop.url}text/save/", {"text": good, "version": shop.mapping.version})
    assert spec_of(shop.mapping) == parse(good)
    assert list(shop.mapping.tables.values_list("pk", flat=True)) == rows
    shop.client.post(f"{shop.url}undo/")
    assert spec_of(shop.mapping) == parse(FILE)


def test_a_revision_is_frozen_with_a_note_or_what_is_missing_is_linked(shop: Desk) -> None:
    shop.fill("region", text="region_id")
    shop.client.post(f"{shop.url}save/", {"note": "regions"})
    revision = shop.mapping.latest_revision
    assert revision and (revision.number, revision.note, revision.author) == (2, "regions", shop.user)
    shop.fill("region", text="lower(")
    refused = shop.client.post(f"{shop.url}save/").content.decode()
    assert f"?table={shop.table().pk}&amp;column=region" in refused and "is not whole yet" in refused
    shop.client.post(f"{shop.url}restore/", {"number": "1"})
    assert spec_of(shop.mapping) == parse(FILE)
    shop.client.post(f"{shop.url}undo/")
    assert shop.columns()["region"]["expr"] == "lower("
    shop.client.post(f"{shop.url}duplicate/", {"name": "shop-2"})
    assert [t.values for t in Mapping.objects.get(name="shop-2").tables.all()] == [
        t.values for t in shop.mapping.tables.all()
    ]
    taken = shop.client.post(f"{shop.url}duplicate/", {"name": "shop-2"}, follow=True)
    assert "already exists" in taken.content.decode()


def test_a_blocker_of_the_review_leads_to_its_field(shop: Desk) -> None:
    """Paths count the revision's tables: the link holds though the draft has them in another order by now."""
    shop.fill("born_on", number=1, text="lower(company_id)")
    shop.client.post(f"{shop.url}save/")
    contact = shop.table(1).pk
    shop.client.post(f"{shop.url}order/", {"table": [str(contact)]})
    review = shop.client.get("/mappings/shop/review/").content.decode()
    links = re.findall(r'<a href="([^"]+)"><code class="where">([^<]+)</code>', review)
    place = dict((path, html.unescape(url)) for url, path in links)["tables[1].columns.born_on"]
    page = shop.client.get(place).content.decode()
    assert "lower(company_id)</textarea>" in page.partition('class="column-editor')[2][:3000]
    assert place == f"{shop.url}change/?table={contact}&column=born_on#column-{digest('born_on')}"
    assert f'id="column-{digest("born_on")}"' in page
    assert places_of(shop.mapping)("tables[0].where").endswith("&question=rows#question-rows")
    asked = shop.client.get(places_of(shop.mapping)("tables[0].key")).content.decode()
    assert '<details class="question" id="question-key" open>' in asked


def test_without_a_script_every_form_works_by_itself(shop: Desk) -> None:
    page = shop.fill("region", script=False, text="region_id")
    assert "<html" in page and shop.columns()["region"]["from"] == "region_id"
    opened = shop.client.get(f"{shop.url}change/", {"table": str(shop.table(1).pk), "column": "email"})
    assert 'name="how" value="ref"' in opened.content.decode()
    rows = shop.client.get(f"{shop.at()}rows/").content.decode()
    assert "<html" in rows and "Company x" in rows


def test_who_may_only_look_changes_nothing(shop: Desk) -> None:
    before = spec_of(shop.mapping)
    guest = shop._replace(client=Client())
    guest.client.force_login(operator("guest", "view_mapping"))
    page = guest.client.get(f"{shop.url}change/")
    assert page.status_code == 200 and "readonly" in page.content.decode()
    for path in (
        "undo/",
        "save/",
        "review/",
        "add/ticked/",
        "order/",
        "settings/",
        "text/save/",
        "duplicate/",
    ):
        assert guest.client.post(f"{shop.url}{path}").status_code == 403
    for path in ("fill/", "answer/", "remove/"):
        assert guest.client.post(f"{shop.at()}{path}", {"column": "name"}).status_code == 403
    assert spec_of(shop.mapping) == before
    stranger = Client()
    stranger.force_login(operator("stranger"))
    assert stranger.get(f"{shop.url}change/").status_code == 403
    assert stranger.get(f"{shop.at()}rows/").status_code == 403


def test_a_database_that_does_not_answer_stops_nobody_from_editing(shop: Desk) -> None:
    gone = Environment.objects.get()
    gone.target_url = "postgresql://olga:hunter2@127.0.0.1:1/x"
    gone.save()
    page = shop.client.get(f"{shop.url}change/").content.decode()
    assert "neither offered nor checked" in page and "hunter2" not in page
    shop.fill("region", text="region_id")
    assert shop.columns()["region"]["from"] == "region_id"


def test_the_environment_that_is_looked_at_is_chosen_by_each_person_for_each_mapping(shop: Desk) -> None:
    local = Environment.objects.get()
    later = environment_at("later", local.target_url, local.source_url)
    later.after = local
    later.save()
    change = f"{shop.url}change/"
    assert "In local" in words(shop.client.get(change).content.decode()), "the first that waits for no other"
    page = words(shop.client.post(f"{shop.url}environment/", {"env": "later"}, follow=True).content.decode())
    assert "In later" in page and "company no old.company" in page
    assert shop.client.post(f"{shop.url}environment/", {"env": "none such"}).status_code == 404
    assert shop.client.post(f"{shop.url}review/")["Location"] == "/mappings/shop/review/?env=later"
    peer, again = Client(), Client()
    peer.force_login(operator("peer", "view_mapping"))
    again.force_login(shop.user)
    assert "In local" in words(peer.get(change).content.decode())
    assert "In later" in words(again.get(change).content.decode()), "on another machine too"
    other = Mapping.objects.create(name="other")
    assert "In local" in words(again.get(f"/admin/mappings/mapping/{other.pk}/change/").content.decode())
    Environment.objects.get(name="later").delete()
    assert "In local" in words(again.get(change).content.decode())


def test_a_mapping_is_looked_at_where_it_was_whatever_environment_comes_before_in_order(shop: Desk) -> None:
    local, change = Environment.objects.get(), f"{shop.url}change/"
    assert "In local" in words(shop.client.get(change).content.decode())
    environment_at("a-new-one", local.target_url, local.source_url)
    assert "In local" in words(shop.client.get(change).content.decode())


def test_a_table_without_a_key_is_told_by_its_content_until_a_key_is_named(shop: Desk) -> None:
    with psycopg.connect(Environment.objects.get().source_url) as source:
        source.execute("CREATE TABLE old.note (text text)")
    shop.client.get(f"{shop.url}change/", {"fresh": "1"})
    shop.client.post(f"{shop.url}add/ticked/", {"source": ["old.note"], "target-old.note": "new.person"})
    assert shop.table(2).values["key"] == "content"
    shop.client.post(f"{shop.at(2)}answer/", {"question": "key"})
    page = words(shop.client.get(f"{shop.url}change/", {"table": shop.table(2).pk}).content.decode())
    assert "key : old.note has no primary key" in page and "note no key" in page


def test_an_expression_that_would_run_for_ever_ends(shop: Desk) -> None:
    """What is typed runs on real rows: with a time limit, in a session that cannot write."""
    with psycopg.connect(Environment.objects.get().source_url) as source:
        source.execute("INSERT INTO old.company SELECT n, 'x' FROM generate_series(1000, 60000) n")
    heavy = "length(repeat(repeat(name, 1000), 100000))::text"
    told = shop.client.get(f"{shop.at()}check/", {"column": "region", "text": heavy}).content.decode()
    assert "fits" in told or "statement timeout" in told
