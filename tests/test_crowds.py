"""Many who look at one run: told from one look, and nobody who may not look is told anything."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client

from jobs.pages.one_run import live_run, onlookers, shared_polls
from tests import factories, many
from tests.test_pages_at_size import page, queries, tokens_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("seated")]


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(factories.make_user())
    return client


def test_a_crowd_that_looks_is_answered_from_one_look(operator: Client) -> None:
    run = many.make_large_run(many.make_mappings(1)[0], factories.make_environment(), 30, 90)
    live = f"/runs/{run.pk}/live/"
    tokens = tokens_of(page(operator, live))
    with queries() as asked:
        for _ in range(100):
            assert operator.get(live, tokens).status_code == 200
    pulses = [sql for sql in asked if "ctid" in sql]
    assert live_run.CROWD // 2 <= len(pulses) < 100
    operator.post("/admin/logout/")
    assert operator.get(live, tokens).headers["HX-Refresh"] == "true"


def test_a_crowd_is_told_the_same_and_nobody_else_is(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_run, "CROWD", 0)  # however slow this machine is, two are a crowd
    monkeypatch.setattr(live_run, "MOMENT", 60.0)
    run = many.make_large_run(many.make_mappings(1)[0], factories.make_environment(), 3, 9)
    live = f"/runs/{run.pk}/live/"
    address = f"{live}?{urlencode(tokens_of(page(operator, live)))}"
    other, stranger = Client(), Client()
    other.force_login(factories.make_user("bob"))
    page(other, address)  # who is not known yet is looked up

    def is_told_without_a_look() -> bool:
        told = page(operator, address)
        with queries() as asked:
            assert page(other, address) == told
        return not asked

    assert any(is_told_without_a_look() for _ in range(100))
    assert stranger.get(address).headers["HX-Refresh"] == "true"
    other.logout()
    assert other.get(address).headers["HX-Refresh"] == "true"


def test_the_web_server_tells_a_crowd_itself_what_django_told_one_of_it(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_run, "CROWD", 0)
    monkeypatch.setattr(live_run, "MOMENT", 60.0)
    run = many.make_large_run(many.make_mappings(1)[0], factories.make_environment(), 3, 9)
    address = f"/runs/{run.pk}/live/?{urlencode(tokens_of(page(operator, f'/runs/{run.pk}/live/')))}"
    key = operator.cookies["sessionid"].value
    poll = f"GET {address} HTTP/1.1\r\nHost: localhost\r\nCookie: csrftoken=a; sessionid={key}\r\n\r\n"

    def is_told(request: str) -> bool:
        """As Django just told it; the second in which nobody asked yet may begin any time, so many tries are made."""
        for _ in range(100):
            told = page(operator, address)
            if answer := shared_polls.answer_at_once(request.encode()):
                head, _, body = answer.decode().partition("\r\n\r\n")
                assert (
                    body == told and f"Content-Length: {len(told.encode())}" in head and "Cookie" not in head
                )
                return True
        return False

    assert is_told(poll)
    assert is_told(poll.replace("\r\n\r\n", "\r\nconnection: keep-alive\r\n\r\n"))
    for was, now in {
        key: "0" * 32, "sessionid": "session", "GET": "POST", "/live/?": "/live/?less=1&", "HTTP/1.1": "HTTP/1.0",
        f"/{run.pk}/": f"/{run.pk + 1}/", f"/runs/{run.pk}": "/runs/" + "9" * 5_000,
        "csrftoken=a": f"sessionid={key}", "Host: localhost": f"Cookie: sessionid={key}",
        "\r\n\r\n": "\r\nConnection: close\r\n\r\n", "Host": "Content-Length: 0\r\nHost",
    }.items():  # fmt: skip
        assert not is_told(poll.replace(was, now)), (was, now)
    assert is_told(poll)
    more = poll.replace("/live/?", "/live/?more=1&").encode()
    assert [shared_polls.answer_at_once(more) for _ in range(3)] == [
        None,
        b"",
        b"",
    ]  # one asks Django, others wait
    page(operator, address.replace("/live/?", "/live/?more=1&"))
    assert shared_polls.answer_at_once(more)
    operator.post("/admin/logout/")
    assert shared_polls.answer_at_once(poll.encode()) is None


@pytest.mark.parametrize(
    "what", ["deactivated", "no longer staff", "another password", "signed out elsewhere"]
)
def test_whoever_may_no_longer_look_is_told_nothing_when_the_seconds_are_over(
    what: str, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = many.make_large_run(many.make_mappings(1)[0], factories.make_environment(), 3, 9)
    live, other = f"/runs/{run.pk}/live/", Client()
    other.force_login(factories.make_user("bob"))
    tokens = [tokens_of(page(client, live)) for client in (operator, other)][1]
    user = User.objects.exclude(username="bob")
    if what == "signed out elsewhere":
        Session.objects.filter(session_key=operator.cookies["sessionid"].value).delete()
    elif what == "another password":
        user.update(password=make_password("another"))
    else:
        user.update(**{"is_active" if what == "deactivated" else "is_staff": False})
    monkeypatch.setattr(onlookers, "_until", 0.0)
    with queries() as asked:
        assert other.get(live, tokens).status_code == 200
    assert len([sql for sql in asked if "django_session" in sql or "auth_user" in sql]) == 2
    assert operator.get(live).headers["HX-Refresh"] == "true"
