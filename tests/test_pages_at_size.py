"""Pages and lists among many rows: as many queries as among few, parts that miss nothing, filters that combine."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client

from jobs import states
from jobs.models import Chunk, Run, TableRun
from jobs.pages import health
from jobs.pages.one_run import chunk_map
from mappings.models import Environment, Mapping, Revision
from mappings.store import revision_spec, save_spec
from tests import factories, many

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("seated")]


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(factories.make_user())
    return client


@contextmanager
def queries() -> Iterator[list[str]]:
    """What is asked of the control database meanwhile, the look that is kept for two seconds included."""
    asked: list[str] = []
    health.forget()

    def note(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        asked.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        yield asked


def page(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def all_parts(client: Client, path: str, pattern: str) -> list[str]:
    """What the pattern finds in the part at that address and in all that come after it."""
    found: list[str] = []
    while True:
        text = page(client, path)
        found += re.findall(pattern, text)
        link = re.search(r'href="(\?[^"]+)" rel="next"', text)
        if not link:
            return found
        path = path.partition("?")[0] + link[1].replace("&amp;", "&")


def filled(mappings: int, runs: int) -> tuple[list[Environment], list[Revision]]:
    environments, revisions = many.make_environments(), many.make_mappings(mappings)
    many.make_runs(runs, revisions, environments)
    return environments, revisions


@pytest.mark.parametrize(
    "path", ["/", "/?q=m-&status=failed", "/runs/", "/runs/?status=needs+somebody", "/promotion/"]
)
def test_more_rows_cost_no_more_queries(path: str, operator: Client) -> None:
    environments, revisions = filled(3, 30)
    page(operator, path)
    with queries() as few:
        page(operator, path)
    more = many.make_mappings(60, prefix="n")
    many.make_runs(400, more, environments)
    for revision in revisions:
        save_spec(replace(revision_spec(revision), widen=False))
    page(operator, path)
    with queries() as several:
        text = page(operator, path)
    assert len(several) <= len(few) + 1 <= 20  # one more where a revision has one before it
    assert len(text) < 100_000
    assert not any('"jobs_run"."plan",' in sql for sql in several)


WAY = r'id="way-(\d+)"'
CARD = r'id="mapping-(\d+)"'
RUN = r'<th scope="row"><a href="/runs/(\d+)/"'


def test_the_parts_of_a_list_hold_every_row_once(operator: Client) -> None:
    filled(45, 130)
    assert len(set(all_parts(operator, "/promotion/", WAY))) == 45
    cards = all_parts(operator, "/?sort=last+changed", CARD)
    assert len(cards) == len(set(cards)) == 45
    newest = [str(key) for key in Run.objects.order_by("-id").values_list("pk", flat=True)]
    assert all_parts(operator, "/runs/", RUN) == newest
    assert all_parts(operator, "/runs/?sort=oldest", RUN) == newest[::-1]
    by_mapping = Run.objects.order_by("mapping__name", "-id").values_list("pk", flat=True)
    assert all_parts(operator, "/runs/?sort=mapping", RUN) == [str(key) for key in by_mapping]


def test_the_part_before_is_where_one_came_from(operator: Client) -> None:
    filled(45, 3)
    first = page(operator, "/promotion/")
    second = page(operator, "/promotion/?after=m-00019")
    back = re.search(r'href="(\?before[^"]+)" rel="prev"', second)
    assert back and re.findall(WAY, page(operator, f"/promotion/{back[1]}")) == re.findall(WAY, first)
    assert 'rel="prev"' not in first


@pytest.mark.parametrize("key", ["x", "1~2", "99999999999999999999999", "~", "-"])
def test_a_key_that_is_none_is_no_error(key: str, operator: Client) -> None:
    filled(2, 4)
    for path in ("/runs/", "/", "/promotion/", "/runs/?sort=mapping", "/?sort=last+changed"):
        joint = "&" if "?" in path else "?"
        page(operator, f"{path}{joint}after={key}")


def test_filters_combine_and_links_keep_them(operator: Client) -> None:
    filled(60, 720)
    asked = "/runs/?q=m-000&status=verified&env=staging"
    found = all_parts(operator, asked, RUN)
    wanted = Run.objects.filter(
        mapping__name__contains="m-000", status=states.VERIFIED, environment__name="staging"
    ).order_by("-id")
    assert found == [str(run.pk) for run in wanted] and len(found) > 50
    assert "status=verified" in page(operator, asked).split('rel="next"')[0].rpartition("href=")[2]
    one = all_parts(operator, "/runs/?mapping=m-00007&status=finished", RUN)
    assert len(one) == Run.objects.filter(mapping__name="m-00007").count()
    number = Run.objects.order_by("id")[9].pk
    assert all_parts(operator, f"/runs/?q={number}", RUN) == [str(number)]


def test_the_overview_begins_with_what_runs_and_what_needs_somebody(operator: Client) -> None:
    local, *_ = many.make_environments()
    calm, failed, paused, aside, again = many.make_mappings(5)
    runs = {}
    for revision, status in (
        (calm, "verified"),
        (failed, "failed"),
        (paused, "paused"),
        (aside, "verified"),
        (again, "failed"),
    ):
        (run,) = many.make_runs(1, [revision], [local])
        Run.objects.filter(pk=run.pk).update(status=status)
        run.tables.update(quarantined=0)
        runs[revision.mapping.name] = run
    runs["m-00003"].tables.filter(name="t1").update(quarantined=7)
    (mended,) = many.make_runs(1, [again], [local])
    Run.objects.filter(pk=mended.pk).update(status=states.COPYING)
    TableRun.objects.filter(run=mended).update(quarantined=0)
    text = page(operator, "/")
    running, needing = text.split('id="running"')[1].split('id="needing"')
    assert re.findall(RUN, running) == [str(mended.pk)]
    wanted = [str(runs[name].pk) for name in ("m-00003", "m-00002", "m-00001")]
    assert re.findall(RUN, needing.split("Mappings</h2>")[0]) == wanted
    assert text.index('id="needing"') < text.index('id="mapping-')
    searched = page(operator, "/?q=m-0")
    assert 'id="needing"' not in searched and 'id="mapping-' in searched
    ready = re.search(r'href="(/promotion/\?done=local&amp;todo=staging)">2', needing)
    assert ready and len(re.findall(WAY, page(operator, ready[1].replace("&amp;", "&")))) == 2


def test_mappings_are_found_by_how_their_last_run_ended(operator: Client) -> None:
    local, staging, _ = many.make_environments()
    one, other, never = many.make_mappings(3)
    for revision, environment, status in (
        (one, local, "failed"), (one, local, "verified"), (other, local, "verified"), (other, staging, "failed"),
    ):  # fmt: skip
        (run,) = many.make_runs(1, [revision], [environment])
        Run.objects.filter(pk=run.pk).update(status=status)

    def named(query: str) -> list[str]:
        keys = re.findall(CARD, page(operator, f"/?{query}"))
        return sorted(Mapping.objects.filter(pk__in=keys).values_list("name", flat=True))

    assert named("status=failed") == ["m-00001"]
    assert named("status=verified&env=local") == ["m-00000", "m-00001"]
    assert named("status=never+run") == ["m-00002"]
    assert named("status=never+run&env=staging&q=m-00000") == ["m-00000"]
    assert "No mapping is like that." in page(operator, "/?q=nothing") and never


def tokens_of(text: str) -> dict[str, str]:
    return dict(re.findall(r'type="hidden" name="(\w+)" value="(\w+)"', text))


def test_of_many_steps_only_the_one_that_moved_is_sent(operator: Client) -> None:
    run = many.make_large_run(many.make_mappings(1)[0], factories.make_environment(), 300, 900)
    live = f"/runs/{run.pk}/live/"
    tokens = tokens_of(page(operator, live))
    step = run.steps.all()[123]
    run.steps.filter(pk=step.pk).update(note="It waits for a lock.")
    moved = operator.get(live, tokens).content.decode()
    assert re.findall(r'id="step-(\d+)"', moved) == [str(step.pk)] and "It waits for a lock." in moved
    assert len(moved) < 6_000


def test_a_poll_of_a_run_that_stands_asks_whether_it_moved_and_no_more(operator: Client) -> None:
    run = many.make_large_run(many.make_mappings(1)[0], factories.make_environment(), 300, 900)
    Run.objects.filter(pk=run.pk).update(status=states.PAUSED)
    live = f"/runs/{run.pk}/live/"
    tokens = tokens_of(page(operator, live))
    with queries() as asked:
        operator.get(live, tokens)
    theirs = [sql for sql in asked if "django_session" in sql or "auth_user" in sql]
    every_two_seconds = [sql for sql in asked if "jobs_seat" in sql]  # whoever polls
    assert (len(theirs), len(asked) - len(theirs) - len(every_two_seconds)) == (0, 1), (
        asked
    )  # who looks is known


def test_when_a_table_moved_it_is_read_and_no_other(operator: Client) -> None:
    run = many.make_large_run(many.make_mappings(1)[0], factories.make_environment(), 300, 900)
    Run.objects.filter(pk=run.pk).update(status=states.PAUSED)
    live = f"/runs/{run.pk}/live/"
    tokens = tokens_of(page(operator, live))
    run.tables.filter(name="t7").update(inserted=4711)
    with queries() as asked:
        moved = page(operator, live + "?" + urlencode(tokens))
    ours = [
        sql
        for sql in asked
        if "jobs_seat" not in sql and "django_session" not in sql and "auth_user" not in sql
    ]
    assert len(ours) == 2, asked
    assert re.findall(r'<tr id="([^"]+)"', moved) == ["table-7"] and "4,711" in moved and len(moved) < 6_000
    again = operator.get(live, tokens_of(moved))
    assert "<tr" not in again.content.decode()


def test_tables_of_a_run_are_searched_filtered_sorted_and_shown_in_parts(operator: Client) -> None:
    run = many.make_large_run(many.make_mappings(1)[0], factories.make_environment(), 130, 260)
    run.tables.filter(name="t99").update(inserted=90_000, quarantined=3)
    at = f"/runs/{run.pk}/"
    line = r'<tr id="table-\d+">\s*<th scope="row">(t\d+)<'
    assert all_parts(operator, at, line) == [f"t{n}" for n in range(130)]
    assert all_parts(operator, f"{at}?sort=inserted", line)[0] == "t99"
    assert all_parts(operator, f"{at}?sort=name&state=under+way", line) == sorted(
        f"t{n}" for n in range(130) if n % 2 or n >= 104
    )
    assert all_parts(operator, f"{at}?state=with+quarantined+rows&q=crm.t9", line) == ["t99"]
    searched = page(operator, f"{at}?q=t12&sort=quarantined")
    assert set(re.findall(line, searched)) == {"t12", *(f"t{n}" for n in range(120, 130))}
    live = re.search(r'hx-get="([^"]+/live/[^"]*)"', searched)
    assert live
    polled = page(operator, live[1].replace("&amp;", "&"))
    assert set(re.findall(r"<th scope=\"row\">(t\d+)<", polled)) == set(re.findall(line, searched))
    for odd in ("at=99999", "at=-1", "at=x", "sort=none", "state=none", "q=%00"):
        assert operator.get(f"{at}?{odd}").status_code in (200, 400)


def test_the_map_has_a_cell_for_each_chunk_and_sends_only_rows_that_moved(operator: Client) -> None:
    run = many.make_large_run(many.make_mappings(1)[0], factories.make_environment(), 3, 1000)
    first = page(operator, f"/runs/{run.pk}/")
    assert 'aria-label="1000 chunks, copying: 100 waiting, 900 under 1 s"' in first
    token = re.search(r'name="cells" value="([^"]+)"', first)
    assert token
    chunks = f"/runs/{run.pk}/chunks/"
    still = operator.get(chunks, {"cells": token[1]}).content.decode()
    assert "<svg" not in still
    claimed = Chunk.objects.filter(table__run=run).order_by("table__position", "number")[333]
    Chunk.objects.filter(pk=claimed.pk).update(state="claimed", worker="north-1-abc123", seconds=0)
    chunk_map.forget()
    moved = operator.get(chunks, {"cells": token[1]}).content.decode()
    assert re.findall(r'id="(cells-\d+)"', moved) == ["cells-3"]  # 90 in a row
    assert 'class="cell-c" d="M756 6h11"' in moved
    told = page(operator, f"/runs/{run.pk}/chunk/?cell=333")
    assert f"chunk {claimed.number}" in told and "north-1 has it in hand" in told
    assert "north-1</b>" in page(operator, f"/runs/{run.pk}/")
    assert "no such chunk" in page(operator, f"/runs/{run.pk}/chunk/?cell=1000")
    assert 'aria-label="334 chunks' in page(operator, f"/runs/{run.pk}/?table=t0")


@pytest.mark.parametrize(
    "change",
    [
        lambda run: run.tables.filter(name="t7").update(inserted=4711),
        lambda run: run.steps.filter(position=3).update(note="4711"),
        lambda run: run.events.create(text="4711"),
        lambda run: Run.objects.filter(pk=run.pk).update(error="4711"),
    ],
)
def test_what_is_kept_for_others_is_never_old(change: Callable[[Run], object], operator: Client) -> None:
    run = many.make_large_run(many.make_mappings(1)[0], factories.make_environment(), 30, 90)
    Run.objects.filter(pk=run.pk).update(status=states.PAUSED)
    live = f"/runs/{run.pk}/live/"
    tokens = tokens_of(page(operator, live))
    assert "4711" not in operator.get(live, tokens).content.decode()
    change(run)
    seen = operator.get(live, tokens).content.decode().replace("\u202f", "")
    assert "4711" in seen


def test_pages_are_compressed_unless_a_secret_may_stand_in_them(operator: Client) -> None:
    environment = factories.make_environment()
    gzipped = {"Accept-Encoding": "gzip"}
    answers = [operator.get("/", headers=gzipped) for _ in range(6)]
    assert {answer.headers["Content-Encoding"] for answer in answers} == {"gzip"}
    assert "Overview" in gzip.decompress(answers[0].content).decode()
    assert len({len(answer.content) for answer in answers}) > 1  # no length tells what the page holds
    closed = [
        "/admin/login/",
        "/admin/password_change/",
        f"/admin/mappings/environment/{environment.pk}/change/",
    ]
    for path in closed:
        assert "Content-Encoding" not in operator.get(path, headers=gzipped).headers
    assert "Content-Encoding" not in operator.post("/runs/", headers=gzipped).headers
