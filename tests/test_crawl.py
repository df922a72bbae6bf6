"""No account gets a 500 out of any address, by any method, with any form: the pages are found by the URL resolver."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Iterator
from dataclasses import asdict
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.signals import got_request_exception
from django.db import connection, transaction
from django.test import Client

from jobs import states
from jobs.engine.rehearsal.result import Tried
from jobs.models import HistoryEntry, Rehearsal, Review
from mappings.models import Environment, TableMapping
from tests import factories
from tests.crawl import ODD_VALUES, Form, addresses, forms_on, ways

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("seated")]

METHODS = ("get", "post", "head", "put", "delete", "options")
ACCOUNTS = ("anonymous", "no staff", "staff", "view", "change", "superuser")
PARAMETERS = ("env", "tables", "review", "revision", "format", "from", "to", "report", "status", "rows", "p", "q", "o",
              "all", "_popup", "_to_field", "_changelist_filters", "next", "mapping__id__exact", "page", "table",
              "column", "question", "find", "name", "number", "open", "since", "text", "version", "value", "key",
              "after", "limit", "kind", "outcome", "who", "way", "mapping", "run", "until", "hours",
              "daily")  # fmt: skip


TOKEN = "a" * 32
TYPED = "application/x-www-form-urlencoded"
PART = b'--X\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\n\r\n\xff\xfe\0\r\n'
BODIES = {
    "JSON": ("application/json", b'{"name": [1, {"env": "\\u0000"}]}'),
    "text": ("text/plain", b"\0\xff"),
    "no type": ("", b"name=x&env=y"),
    "odd type": (";;\xff,=", b"name=x"),
    "no boundary": ("multipart/form-data", b"name=x"),
    "long boundary": (f"multipart/form-data; boundary={'x' * 300}", b"name=x"),
    "odd boundary": ("multipart/form-data; boundary=\xff", b"name=x"),
    "cut off": ("multipart/form-data; boundary=X", PART[:-6] % (b"name", b"x")),
    "files": ("multipart/form-data; boundary=X", b"".join(
        PART % (name, b"a\0/../x") for name in (b"name", b"env", b"text", b"file", b"action", b"comment", b"\xff\0")
    ) + b"--X--\r\n"),
    "no UTF-8": (TYPED, b"name=%ff&env=\xff&text=%ed%a0%80&column=%c0%80&comment=%fe&action=%ff"),
    "UTF-16": (f"{TYPED}; charset=utf-16", "name=x".encode("utf-16")),
    "UTF-7": (f"{TYPED}; charset=utf-7", b"name=+2AA-"),
    "no charset": (f"{TYPED}; charset=nonsense\xff", b"name=x"),
    "many": (TYPED, b"a&" * 60_000),
    "large": (TYPED, b"name=" + b"x" * 3_000_000),
    "repeated": (TYPED, b"".join(b"%s=1&%s=-1&%s=abc&" % (3 * (name.encode(),)) for name in PARAMETERS)),
}  # fmt: skip
"""What no form sends, by its content type."""

UNREADABLE = ("UTF-16", "UTF-7", "no boundary", "odd boundary", "many", "large")

OF_DJANGO = re.compile(r"(?<=^/admin)/(auth/(user|group)|axes/\w+)/")
"""Models whose pages are Django's and another package's own: each shape of page is the same for all of them."""


class Crawler:
    """One account's browser; nothing that it does stays."""

    def __init__(self, account: str) -> None:
        self.account = account
        self.client = Client(
            enforce_csrf_checks=True, raise_request_exception=False, headers={"X-CSRFToken": TOKEN}
        )
        if account != "anonymous":
            self.client.force_login(user_of(account))
        self.client.cookies["csrftoken"] = TOKEN
        self.cookies = self.client.cookies.copy()
        self.broken: list[str] = []

    @property
    def may_pass(self) -> bool:
        """Whether any page but the sign-in is open to it."""
        return self.account not in ("anonymous", "no staff")

    def ask(self, method: str, address: str, fields: Any = None) -> Any:
        """fields: a form's, or (content type, body) of a POST."""
        with transaction.atomic():
            if isinstance(fields, tuple):
                response = self.client.generic("POST", address, fields[1], fields[0])
            else:
                response = getattr(self.client, method)(address, fields or {})
            transaction.set_rollback(True)
        self.client.cookies = SimpleCookie(self.cookies)
        if response.status_code >= 500:
            named = dict([fields]) if isinstance(fields, tuple) else fields or {}
            shown = {name: str(value)[:30] for name, value in named.items()}
            self.broken.append(f"{self.account}: {method.upper()} {address[:150]} {str(shown)[:300]}")
        return response


def user_of(account: str) -> User:
    user = User.objects.create_user(account.replace(" ", "-"), is_staff=account != "no staff")
    if account == "superuser":
        user.is_superuser = True
        user.save()
    if account in ("view", "change"):
        wanted = ("view_",) if account == "view" else ("view_", "change_")
        for action in wanted:
            user.user_permissions.add(*Permission.objects.filter(codename__startswith=action))
    return user


@pytest.fixture
def known() -> dict[str, list[str]]:
    """What there is to look at, by the names of the parts of addresses."""
    runs = [
        factories.make_run(status, quarantined=3)
        for status in (states.MISMATCH, states.VERIFIED, states.FAILED)
    ]
    for environment in Environment.objects.all():
        environment.source_url = environment.target_url = "postgresql://u:p@127.0.0.1:1/nowhere"
        environment.save()
    mapping, environment = runs[0].mapping, runs[0].environment
    revision = mapping.latest_revision
    assert revision is not None
    plan = runs[0].plan
    done = Review.objects.create(
        revision=revision, environment=environment, state="done", plan=plan, long=True
    )
    waiting = Review.objects.create(revision=revision, environment=environment)
    rehearsed = Rehearsal.objects.create(
        mapping=mapping,
        revision=revision,
        environment=environment,
        report=asdict(Tried(rows=1)),
    )
    first = User.objects.first()
    types = ContentType.objects.values_list("pk", flat=True)
    return {
        "pk": [str(run.pk) for run in runs]
        + [str(done.pk), str(waiting.pk), str(rehearsed.pk), str(mapping.pk)],
        "name": [mapping.name],
        "content_type_id": [str(pk) for pk in types],
        "object_id": [str(first.pk if first else 1)],
        "mappings/mapping/object_id": [str(mapping.pk)],
        "mappings/environment/object_id": [str(environment.pk)],
        "mappings/revision/object_id": [str(revision.pk)],
        "mappings/tablemapping/object_id": [str(TableMapping.objects.values_list("pk", flat=True)[0])],
        "jobs/run/object_id": [str(run.pk) for run in runs],
    }


@pytest.fixture
def raised() -> Iterator[list[str]]:
    """The exceptions behind the 500s."""
    found: list[str] = []

    def note(**_: Any) -> None:
        found.append(traceback.format_exc(limit=-6))

    got_request_exception.connect(note)
    logging.disable(logging.ERROR)
    yield found
    logging.disable(logging.NOTSET)
    got_request_exception.disconnect(note)


@pytest.mark.parametrize("account", ACCOUNTS)
def test_no_address_is_a_500(account: str, known: dict[str, list[str]], raised: list[str]) -> None:
    """Every address; odd parts of addresses, odd parameters, odd fields that no form has.

    The superuser, whom nothing stops on the way to a view, tries every method and every oddity. Of the others each
    tries to read and to write everywhere, and in turn one of the other methods and one of the odd values.
    """
    crawler, seen = Crawler(account), set[str]()
    for turn, way in enumerate(ways()):
        usual, *others = addresses(way, known)
        shape = OF_DJANGO.sub("/", usual)
        everything = account == "superuser" and shape not in seen
        seen.add(shape)
        rest = METHODS[2:] if everything else METHODS[2 + turn % len(METHODS[2:]) :][:1]
        for method in (*METHODS[:2], *rest):
            crawler.ask(method, usual)
        for address in others if everything else others[turn % max(1, len(others)) :][:1]:
            crawler.ask("get", address)
        odd_values = ODD_VALUES if everything else ODD_VALUES[turn % len(ODD_VALUES) :][:1]
        for odd in odd_values if crawler.may_pass else ():
            crawler.ask("get", f"{usual}?{urlencode(dict.fromkeys(PARAMETERS, odd))}")
            crawler.ask("post", usual, dict.fromkeys(PARAMETERS, odd))
    assert not crawler.broken, "\n".join([*crawler.broken, *dict.fromkeys(raised)])


@pytest.mark.parametrize("account", ACCOUNTS)
def test_no_body_is_a_500(account: str, known: dict[str, list[str]], raised: list[str]) -> None:
    """Also where there is no page. What cannot be read is refused before anything looks at it."""
    crawler, bodies = Crawler(account), list(BODIES.items())
    for turn, address in enumerate(["/nowhere/", *(addresses(way, known)[0] for way in ways())]):
        everything = account == "superuser" and (turn == 0 or not OF_DJANGO.search(address))
        for name, (kind, body) in bodies if everything else bodies[turn % len(bodies) :][:2]:
            status = crawler.ask("post", address, (kind, body)).status_code
            assert name not in UNREADABLE or status == 400, (name, address, status)
    assert not crawler.broken, "\n".join([*crawler.broken, *dict.fromkeys(raised)])


def forms_of(crawler: Crawler, known: dict[str, list[str]]) -> list[Form]:
    """The forms of every page that is open to the crawler, each shape once."""
    found: dict[object, Form] = {}
    for way in ways():
        address = addresses(way, known)[0]
        page = crawler.ask("get", address)
        if page.status_code == 200 and "html" in page.headers.get("Content-Type", "") and not page.streaming:
            for form in forms_on(address, page.content.decode()):
                found.setdefault((form.address, tuple(name for name, _ in form.fields)), form)
    return [form for form in found.values() if not urlsplit(form.address).netloc]


@pytest.mark.parametrize("account", ["change", "superuser"])
def test_no_form_is_a_500(account: str, known: dict[str, list[str]], raised: list[str]) -> None:
    """Every form of every page, as it stands there and with odd texts in its fields."""
    crawler = Crawler(account)
    for form in forms_of(crawler, known):
        crawler.ask(form.method, form.address, dict(form.fields))
        for odd in ODD_VALUES if account == "superuser" else ODD_VALUES[-1:]:
            if odd == "\0":  # once without what Django's own formsets need
                crawler.ask(form.method, form.address, {name: odd for name, _ in form.fields})
            kept = {
                name: value if "_FORMS" in name or name.startswith("_") else odd
                for name, value in form.fields
            }
            crawler.ask(form.method, form.address, kept)
    assert not crawler.broken, "\n".join([*crawler.broken, *dict.fromkeys(raised)])


def test_no_form_is_taken_without_its_token(known: dict[str, list[str]]) -> None:
    crawler = Crawler("superuser")
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="superuser"))
    posted = [form for form in forms_of(crawler, known) if form.method == "post"]
    assert len(posted) > 20
    for form in posted:
        fields = {name: value for name, value in form.fields if name != "csrfmiddlewaretoken"}
        assert strict.post(form.address, fields).status_code == 403, form.address


def contents() -> dict[str, object]:
    """Every row of the control database, but for what only says who was there and was refused."""
    models = [model._meta for model in apps.get_models(include_auto_created=True)]
    told = {"django_session", "axes_accesslog", "jobs_historyentry", "jobs_historyhead"}
    told |= {"mappings_visit", "jobs_wish"}  # what each account keeps for itself
    tables = sorted({model.db_table for model in models if model.managed} - told)
    with connection.cursor() as cursor:
        found: dict[str, object] = {}
        for table in tables:
            cursor.execute(f'SELECT array_agg(t::text ORDER BY t::text) FROM "{table}" t')
            found[table] = cursor.fetchone()
    return found


@pytest.mark.parametrize("account", ["no staff", "view"])
def test_who_may_only_look_changes_nothing(account: str, known: dict[str, list[str]]) -> None:
    """By any form of any page that a superuser has, nor by opening a page."""
    forms, client = forms_of(Crawler("superuser"), known), Client(raise_request_exception=False)
    client.force_login(user_of(account))
    before = contents()
    entries = HistoryEntry.objects.count()
    for form in forms:
        if "logout" not in form.address:
            getattr(client, form.method)(form.address, dict(form.fields))
    assert contents() == before
    done = HistoryEntry.objects.filter(number__gt=entries).exclude(outcome="refused")
    assert {entry.verb for entry in done} <= {"wishes changed"}, "what it wants to be told of is its own"
