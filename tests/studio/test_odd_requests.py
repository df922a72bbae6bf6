"""Requests to the studio that no page of it sends, over databases that answer: refused or shown, never a 500."""

from __future__ import annotations

import pytest

from tests.studio.conftest import Desk

NUMBERS = ("9" * 30, "9" * 5000, "-1", "½")
TEXTS = ("\0", '["\\u0000"]', '{"a": "\\u0000"}', '"\\ud800"', "[NaN]", "x" * 3000)
WAYS = ("", "expr", "value", "lookup", "ref", "default")
PARAMETERS = ("column", "table", "question", "page", "filter", "text", "since", "find")
FILLING = (
    "text",
    "value",
    "lookup_table",
    "lookup_key",
    "lookup_value",
    "ref_table",
    "ref_column",
    "missing",
)
QUESTIONS = ("tables", "rows", "key", "existing", "link", "no such")
ANSWERS = ("name", "source", "target", "where", "alias", "joins", "key", "distinct", "order_by", "existing", "match",
           "then", "link", "source_id", "map", "backref", "is_migrated")  # fmt: skip
OF_MAPPING = {
    "order": ("table", "open"),
    "undo": ("open",),
    "redo": ("open",),
    "settings": ("description", "on_error", "widen", "max_quarantined", "name"),
    "add/ticked": ("source",),
    "text/save": ("text", "version"),
    "duplicate": ("name",),
    "restore": ("number",),
}


@pytest.fixture
def desk(shop: Desk) -> Desk:
    shop.client.raise_request_exception = False
    return shop


def broken(desk: Desk, method: str, address: str, fields: dict[str, str]) -> list[str]:
    """The request, if it is answered by a 500."""
    status = getattr(desk.client, method)(address, fields).status_code
    shown = {name: value[:20] for name, value in fields.items()}
    return [f"{status} {method} {address.removeprefix(desk.url)} {shown}"] if status >= 500 else []


def test_odd_parameters_are_shown(desk: Desk) -> None:
    pages = [f"{desk.url}{name}/" for name in ("change", "news", "add")]
    pages += [f"{desk.at()}{name}/" for name in ("column", "rows", "check")]
    found = [
        line
        for page in pages
        for odd in (*NUMBERS[1:], *TEXTS[:1])
        for line in broken(desk, "get", page, dict.fromkeys(PARAMETERS, odd))
    ]
    assert not found


def test_odd_fillings_are_refused(desk: Desk) -> None:
    found = []
    for way in WAYS:
        for odd in TEXTS:
            fields = {"how": way, **dict.fromkeys(FILLING, odd)}
            found += broken(desk, "post", f"{desk.at()}fill/", {"column": "name", **fields})
    for column in ("", "no such", "\0"):
        found += broken(desk, "post", f"{desk.at()}fill/", {"column": column, "text": "name"})
        found += broken(desk, "post", f"{desk.at()}take/", {"column": column})
        found += broken(desk, "post", f"{desk.at()}not-this/", {"column": column})
    assert not found


def test_odd_answers_are_refused(desk: Desk) -> None:
    found = []
    for question in QUESTIONS:
        for odd in TEXTS:
            fields = {"question": question, **dict.fromkeys(ANSWERS, odd)}
            found += broken(desk, "post", f"{desk.at()}answer/", fields)
    for address, names in OF_MAPPING.items():
        found += broken(desk, "post", f"{desk.url}{address}/", {})
        for odd in (*NUMBERS, *TEXTS):
            found += broken(desk, "post", f"{desk.url}{address}/", dict.fromkeys(names, odd))
    assert not found
