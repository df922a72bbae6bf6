"""Notices: who is told of what and by which way, on real receivers; and that no receiver ever hurts a run."""

from __future__ import annotations

import hashlib
import hmac
import io
import itertools
import json
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from jobs import transitions
from jobs.models import Chunk, HistoryEntry, Notice, Run, Webhook, Wish
from jobs.notices import addresses, deliver, webhook
from jobs.notices.failures import Undeliverable
from jobs.workers import aside, long_waits, sweeper
from mappings.models import Environment
from mappings.store import revision_spec
from tests import factories
from tests.receivers import Received, mail_server, web_server
from tests.test_pages_at_size import page, queries

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("seated")]

SECRET = "sign-with-this"


@pytest.fixture
def web(settings: Any) -> Iterator[Received]:
    settings.WEBHOOK_HOSTS = ["127.0.0.1"]
    with web_server() as received:
        yield received


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(factories.make_user())
    return client


def hook_to(received: Received, path: str = "/hook", **values: Any) -> Webhook:
    hook = Webhook(name="chat", events=["ended", "failed", "waits", "promotion"], **values)
    hook.url, hook.secret = f"http://127.0.0.1:{received.port}{path}", SECRET
    hook.save()
    return hook


def wish(events: list[str], ways: list[str], environment: Environment | None = None) -> User:
    user = User.objects.get(pk=factories.make_user().pk)
    Wish.objects.create(user=user, environment=environment, events=events, ways=ways)
    return user


def failed_run(**values: Any) -> Run:
    """A run that fails now, with words of a row in its error."""
    run = factories.make_run("copying", **values)
    transitions.move(run, "failed", why="Key (email)=(ada@example.org) already exists", level="error")
    return run


def deliver_all() -> None:
    while deliver.deliver_next():
        pass


def make_due() -> None:
    Notice.objects.update(next_at=timezone.now() - timedelta(seconds=1))


# ---- what is told, and how


def test_a_webhook_is_told_in_words_for_a_chat_and_signed(web: Received, settings: Any) -> None:
    settings.PAGES_URL = "https://migrator.example"
    hook_to(web)
    run = failed_run()
    deliver_all()
    ((path, headers, body),) = web.requests
    said = json.loads(body)
    link = f"https://migrator.example/runs/{run.pk}/"
    assert path == "/hook" and said["text"].startswith(
        f"Run {run.pk} of crm-merge (revision 1) in staging failed"
    )
    assert said["text"].endswith(link) and said["url"] == link
    assert (said["event"], said["run"], said["status"], said["environment"]) == (
        "failed", run.pk, "failed", "staging",
    )  # fmt: skip
    seconds, _, given = headers["X-Migrator-Signature"].removeprefix("t=").partition(",v1=")
    wanted = hmac.new(SECRET.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(given, wanted)
    assert b"ada@example.org" not in body  # no value of a row leaves by a chat
    assert Notice.objects.get().state == "sent"


def test_a_mail_goes_through_a_real_server(settings: Any) -> None:
    user = wish(["failed"], ["mail"])
    user.email = "olga@example.org"
    user.save()
    with mail_server() as received:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", received.port
        run = failed_run()
        deliver_all()
    ((to, text),) = received.mails
    assert to == "olga@example.org" and "Subject: [Migrator] crm-merge in staging: failed" in text
    assert f"/runs/{run.pk}/" in text and "ada@example.org" not in text


def test_a_browser_fetches_each_notice_once(operator: Client) -> None:
    wish(["failed"], ["browser"])
    run = failed_run()
    first, again = (operator.get("/notices/news/").json()["notices"] for _ in range(2))
    assert [one["path"] for one in first] == [f"/runs/{run.pk}/"] and again == []
    assert Client().get("/notices/news/").json() == {"notices": []}
    with queries() as asked:
        operator.get("/notices/news/")
    assert len(asked) <= 5


def test_each_is_told_what_they_want_where_they_want_it() -> None:
    staging = factories.make_environment()
    factories.make_environment("production", after=staging)
    calm = factories.make_environment("calm")
    wish(["promotion"], ["browser"], Environment.objects.get(name="production"))
    wish(["waits", "ended", "failed"], ["browser"], staging)
    wish(["failed"], ["browser"], calm)
    for status, to, level in (
        ("verifying", "verified", "info"), ("copying", "paused", "error"), ("pausing", "paused", "info"),
        ("paused", "cancelled", "info"), ("copying", "verifying", "info"), ("verifying", "mismatch", "error"),
    ):  # fmt: skip
        run = factories.make_run(status)
        transitions.move(run, to, level=level)
        Run.objects.filter(pk=run.pk).update(status="rolled_back")
    titles = list(Notice.objects.order_by("pk").values_list("event", "title"))
    assert titles == [
        ("ended", "crm-merge in staging: verified"),
        ("promotion", "crm-merge: asked for in production"),
        ("waits", "crm-merge in staging: paused"),
        ("ended", "crm-merge in staging: cancelled"),
        ("failed", "crm-merge in staging: mismatch"),
    ]


def test_a_person_asks_and_those_who_may_start_it_are_told(operator: Client) -> None:
    production = factories.make_environment("production", after=factories.make_environment())
    may = wish(["promotion"], ["browser"], production)
    looks = User.objects.create_user("looks", is_staff=True)
    Wish.objects.create(user=looks, environment=production, events=["promotion"], ways=["browser"])
    mapping = factories.make_mapping()
    address = reverse("jobs:ask", args=[mapping.name])
    operator.post(address, {"env": "production"})
    assert not Notice.objects.exists(), "nothing is verified yet"
    run, revision = factories.make_run("verified"), mapping.latest_revision
    assert revision is not None
    names = [table.name for table in revision_spec(revision).tables]
    Run.objects.filter(pk=run.pk).update(plan={**run.plan, "sha256": revision.sha256, "selected": names})
    operator.post(address, {"env": "production", "comment": "for Monday"})
    (notice,) = Notice.objects.all()
    assert (notice.user, notice.event) == (may, "promotion")
    assert "alice asks for crm-merge" in notice.text and notice.text.endswith("in production: for Monday")
    entry = HistoryEntry.objects.filter(verb="asked for").latest("pk")
    assert (entry.environment, entry.text) == ("production", "for Monday")
    line = operator.get(reverse("jobs:verifications-line", args=[mapping.name])).content.decode()
    assert "chart-verifications" in line and "It is the first" in line


def test_a_long_wait_is_told_of_once_and_again_when_it_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    wish(["waits"], ["browser"])
    run = factories.make_run("copying", waiting_for="a lock on crm.account is held by pid 4711")
    long_waits.look()
    assert not Notice.objects.exists()
    monkeypatch.setattr(long_waits, "LONG_SECONDS", 0)
    for _ in range(3):
        long_waits.look()
    assert [one.title for one in Notice.objects.all()] == ["crm-merge in staging: waits"]
    assert "4711" not in Notice.objects.get().text
    for waiting_for in ("", "the server is away"):
        Run.objects.filter(pk=run.pk).update(waiting_for=waiting_for)
        long_waits.look()
    assert Notice.objects.count() == 2


# ---- receivers that fail


def test_it_is_tried_again_ever_more_seldom_and_then_given_up(web: Received, operator: Client) -> None:
    hook_to(web)
    failed_run()
    web.answers = [500] * (len(deliver.PAUSES) + 1)
    pauses = []
    for _ in deliver.PAUSES:
        asked = timezone.now()
        assert deliver.deliver_next()
        notice = Notice.objects.get()
        pauses.append((notice.next_at - asked).total_seconds())
        assert notice.state == "waiting" and notice.error == "127.0.0.1 answered 500"
        assert not deliver.deliver_next()  # not before its time
        make_due()
    assert all(a < b for a, b in itertools.pairwise(pauses))
    deliver_all()
    notice = Notice.objects.get()
    assert (notice.state, notice.attempts) == ("given up", len(deliver.PAUSES) + 1)
    assert len({headers["X-Migrator-Delivery"] for _, headers, _ in web.requests}) == 1
    assert HistoryEntry.objects.get(kind="notice").outcome == "failed"
    operator.force_login(User.objects.create_superuser("boss"))
    assert "answered 500" in page(operator, "/notices/")
    operator.post(f"/notices/{notice.pk}/retry/")
    deliver_all()
    assert Notice.objects.get().state == "sent"


def test_no_redirect_is_followed(web: Received) -> None:
    hook_to(web)
    failed_run()
    web.answers = [307]
    deliver_all()
    assert [path for path, *_ in web.requests] == ["/hook"]
    assert "redirects are not followed" in Notice.objects.get().error


def test_nothing_is_tried_for_ever_that_a_setting_stands_against(settings: Any) -> None:
    wish(["failed"], ["mail"])
    failed_run()
    deliver_all()
    assert (Notice.objects.get().state, Notice.objects.get().error) == (
        "given up", "the account has no e-mail address",
    )  # fmt: skip


def test_a_notice_whose_sender_died_is_tried_by_another(web: Received) -> None:
    hook_to(web)
    failed_run()
    assert deliver._take() and not deliver.deliver_next()
    make_due()
    deliver_all()
    assert Notice.objects.get().state == "sent" and Notice.objects.get().attempts == 2


@pytest.mark.django_db(transaction=True)
def test_a_receiver_that_hangs_holds_up_neither_runs_nor_the_sweeper_nor_others(web: Received) -> None:
    web.gate.clear()
    hook_to(web)
    failed_run()
    aside.NOTICES.wake()
    assert web.arrived.wait(60)
    other = factories.make_run("pausing", environment="elsewhere")
    Chunk.objects.all().delete()
    sweeper.sweep()
    other.refresh_from_db()
    assert other.status == "paused"
    with mail_server() as received, pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobs.notices.mail.is_set_up", lambda: True)
        patch.setattr("django.conf.settings.EMAIL_BACKEND", "django.core.mail.backends.smtp.EmailBackend")
        patch.setattr("django.conf.settings.EMAIL_HOST", "127.0.0.1")
        patch.setattr("django.conf.settings.EMAIL_PORT", received.port)
        User.objects.filter(pk=wish(["ended"], ["mail"]).pk).update(email="olga@example.org")
        transitions.move(other, "cancelled")
        while Notice.objects.filter(way="mail").exclude(state="sent").exists():
            aside.NOTICES.wake()
        assert len(received.mails) == 1 and not web.gate.is_set()
    web.gate.set()
    for thread in aside.NOTICES.threads:
        thread.join(60)
    assert set(Notice.objects.values_list("state", flat=True)) == {"sent"}


def test_a_run_moves_on_where_nobody_can_be_told() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE jobs_wish RENAME TO elsewhere")
    run = failed_run()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE elsewhere RENAME TO jobs_wish")
    run.refresh_from_db()
    assert run.status == "failed"


def test_an_answer_that_drips_is_cut_off(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """A server that takes the request and then says nothing that ends."""
    settings.WEBHOOK_HOSTS = ["127.0.0.1"]
    monkeypatch.setattr(webhook, "SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hook = Webhook(name="silent", events=["failed"])
        hook.url, hook.secret = f"http://127.0.0.1:{silent.getsockname()[1]}/", SECRET
        hook.save()
        failed_run()
        deliver_all()
    assert "did not answer" in Notice.objects.get().error


# ---- who may set where a webhook leads


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/", "http://[::1]/", "http://169.254.169.254/latest/", "http://10.1.2.3/", "http://localhost/",
     "http://[::ffff:127.0.0.1]/", "http://2130706433/", "http://0.0.0.0/", "http://192.168.1.1:6379/", "http://127.1/"],
)  # fmt: skip
def test_a_webhook_does_not_lead_into_our_own_network(url: str) -> None:
    with pytest.raises(Undeliverable, match="WEBHOOK_HOSTS"):
        addresses.looked_up(addresses.parsed(url))


@pytest.mark.parametrize(
    "url", ["ftp://x.example/", "file:///etc/passwd", "https://u:p@x.example/", "https://", "//x", "https://x:99999/",
            "https://x.example/a b", "https://x.example/\r\nX: y"]
)  # fmt: skip
def test_what_is_no_address_of_a_web_server_is_refused(url: str) -> None:
    with pytest.raises(Undeliverable):
        addresses.parsed(url)


def test_an_address_out_in_the_internet_is_fine() -> None:
    assert addresses.is_public("93.184.216.34") and addresses.is_public("2606:2800:220:1::1")


def test_webhooks_are_for_administrators_and_nothing_secret_is_shown(client: Client) -> None:
    client.force_login(factories.make_user())
    assert client.get("/admin/jobs/webhook/add/").status_code == 403
    client.force_login(User.objects.create_superuser("boss"))
    typed = {
        "name": "chat",
        "url": "https://hooks.example/T0/secret-path",
        "events": ["failed"],
        "active": "on",
    }
    shown = client.post("/admin/jobs/webhook/add/", typed, follow=True).content.decode()
    hook = Webhook.objects.get()
    assert hook.secret in shown and hook.secret not in page(client, "/admin/jobs/webhook/")
    form = page(client, f"/admin/jobs/webhook/{hook.pk}/change/")
    everything = json.dumps(list(HistoryEntry.objects.values()), default=str)
    assert "secret-path" not in form + everything and hook.secret not in form + everything
    assert "secret-path" not in hook.url_encrypted
    client.post(f"/admin/jobs/webhook/{hook.pk}/change/", {"name": "chat", "events": ["ended"]})
    kept = Webhook.objects.get()
    assert (kept.url, kept.secret, kept.events, kept.active) == (hook.url, hook.secret, ["ended"], False)
    client.post(f"/admin/jobs/webhook/{hook.pk}/delete/", {"post": "yes"})
    said = HistoryEntry.objects.filter(kind="notice").order_by("number").values_list("verb", flat=True)
    assert list(said) == ["webhook made", "webhook changed", "webhook deleted"]


# ---- page and command


def test_people_say_on_the_page_what_they_want_to_be_told(operator: Client) -> None:
    staging = factories.make_environment()
    ticked = {
        f"events-{staging.pk}": ["failed", "x"],
        f"ways-{staging.pk}": ["mail"],
        "events-all": ["waits"],
    }
    operator.post("/notices/save/", ticked)
    kept = Wish.objects.order_by("environment_id").values_list("environment__name", "events", "ways")
    assert set(map(str, kept)) == {"('staging', ['failed'], ['mail'])", "(None, ['waits'], [])"}
    assert page(operator, "/notices/").count(" checked") == 3
    call_command(
        "notices", "set", "alice", "--env", "staging", "--events", "", "--ways", "", stdout=io.StringIO()
    )
    assert Wish.objects.get().environment is None
    assert HistoryEntry.objects.filter(verb="wishes changed").count() == 3


def test_the_commands_do_what_the_pages_do(web: Received) -> None:
    def told(*words: str) -> str:
        out = io.StringIO()
        call_command("notices", *words, stdout=out)
        return out.getvalue()

    said = told("webhook", "chat", "--url", f"http://127.0.0.1:{web.port}/x", "--events", "failed")
    assert Webhook.objects.get().secret in said
    failed_run()
    web.answers = [500] * 9
    for _ in range(9):
        make_due()
        deliver_all()
    (row,) = json.loads(told("list", "--state", "given up", "--format", "json"))
    assert "answered 500" in told("list") and row["receiver"] == "webhook chat"
    told("retry", str(row["notice"]))
    deliver_all()
    assert Notice.objects.get().state == "sent"
    told("webhook", "chat", "--delete")
    with pytest.raises(SystemExit):
        call_command("notices", "webhook", "x", "--url", "gopher://x", stderr=io.StringIO())


def test_the_page_is_quick_among_many(operator: Client) -> None:
    user = User.objects.get(username="alice")
    Notice.objects.bulk_create(
        Notice(event="failed", title=f"n {n}", text="t", way="mail", user=user, path="/runs/1/")
        for n in range(300)
    )
    with queries() as asked:
        text = page(operator, "/notices/")
    assert len(asked) <= 12 and len(text) < 100_000 and 'rel="next"' in text
