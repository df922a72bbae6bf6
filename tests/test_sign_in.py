"""Signing in: wrong passwords are braked by name and address, and every try leaves a trace."""

from __future__ import annotations

from datetime import timedelta

import pytest
from axes.models import AccessAttempt, AccessLog
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client, RequestFactory, override_settings
from django.urls import reverse

from migrator_site.sign_in import client_address
from tests.answers import Answer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("seated")]

LIMIT = settings.AXES_FAILURE_LIMIT


@pytest.fixture(autouse=True)
def olga() -> User:
    return User.objects.create_user("olga", password="right", is_staff=True)


def sign_in(client: Client, password: str, name: str = "olga", address: str = "10.0.0.1") -> Answer:
    typed = {"username": name, "password": password}
    return client.post(reverse("admin:login"), typed, REMOTE_ADDR=address)


def test_after_a_few_wrong_passwords_the_right_one_is_no_help(client: Client) -> None:
    said = [sign_in(client, "wrong") for _ in range(LIMIT)]
    assert [answer.status_code for answer in said] == [200] * (LIMIT - 1) + [429]
    closed = sign_in(client, "right")
    assert closed.status_code == 429 and "_auth_user_id" not in client.session
    page = closed.content.decode()
    assert (
        "Too many wrong passwords." in page
        and "axes_reset_username olga" in page
        and "jobs/shell.css" in page
    )


def test_others_are_not_kept_out(client: Client) -> None:
    """Neither the same person elsewhere, nor somebody else at the same address."""
    User.objects.create_user("hanna", password="right", is_staff=True)
    for _ in range(LIMIT + 1):
        sign_in(client, "wrong")
    assert sign_in(Client(), "right", "hanna").status_code == 302
    assert sign_in(Client(), "right", address="10.0.0.2").status_code == 302


def test_it_opens_again_by_itself_and_by_an_administrator(client: Client) -> None:
    for opened in ("by itself", "by an administrator"):
        for _ in range(LIMIT):
            sign_in(client, "wrong")
        assert sign_in(client, "right").status_code == 429
        if opened == "by itself":
            attempt = AccessAttempt.objects.get()
            AccessAttempt.objects.update(
                attempt_time=attempt.attempt_time - settings.AXES_COOLOFF_TIME - timedelta(seconds=1)
            )
        else:
            call_command("axes_reset_username", "olga")
        assert sign_in(client, "right").status_code == 302


def test_a_program_may_sign_somebody_in(client: Client, olga: User) -> None:
    """Without a request from anywhere, as tests do."""
    client.force_login(olga)
    assert client.get("/").status_code == 200


def test_every_try_leaves_a_trace(client: Client) -> None:
    sign_in(client, "wrong")
    attempt = AccessAttempt.objects.get()
    assert (attempt.username, attempt.ip_address, attempt.failures_since_start) == ("olga", "10.0.0.1", 1)
    assert "wrong" not in attempt.post_data
    sign_in(client, "right")
    assert AccessLog.objects.get().username == "olga" and not AccessAttempt.objects.exists()


@pytest.mark.parametrize(
    ("https", "forwarded", "address"),
    [
        (False, "1.2.3.4", "10.0.0.1"),
        (True, "", "10.0.0.1"),
        (True, "1.2.3.4", "1.2.3.4"),
        (True, "9.9.9.9, 1.2.3.4", "1.2.3.4"),
        (True, "no address", "10.0.0.1"),
    ],
)
def test_behind_a_proxy_it_is_the_browser_that_counts(https: bool, forwarded: str, address: str) -> None:
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    request = RequestFactory().get("/", headers=headers, REMOTE_ADDR="10.0.0.1")
    with override_settings(HTTPS=https):
        assert client_address(request) == address
