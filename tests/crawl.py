"""Every address of the site, from the URL resolver, and every form on its pages: what is added is crawled as well."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import urljoin

from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.converters import IntConverter, SlugConverter

ODD_NUMBERS = ("0", "999999999", "9" * 30)
ODD_SLUGS = ("nobody", "-", "x" * 300)
ODD_TEXTS = ("abc", "9" * 30, "a/b", "%00", "%FF", "é'\"`")
"""What stands for a part of an address: of a number, of a slug, of anything at all."""

ODD_VALUES = ("9" * 30, "9" * 5000, "abc'\"\\ é\r\n[1, {", "\0", '["\\u0000"]')
"""What is written into every field of a form, and into every parameter of an address."""

Way = tuple[URLPattern | URLResolver, ...]


def ways(resolver: URLResolver | None = None, before: Way = ()) -> Iterator[Way]:
    """Each address of the site, as the patterns that lead to it."""
    for one in (resolver or get_resolver()).url_patterns:
        if isinstance(one, URLResolver):
            yield from ways(one, (*before, one))
        else:
            yield (*before, one)


def addresses(way: Way, known: Mapping[str, Sequence[str]]) -> list[str]:
    """The paths of one address: with what there is (`known`, by its name), and with odd values, one at a time."""
    parts = {name: kind for one in way for name, kind in one.pattern.converters.items()}
    area = next((str(one.pattern) for one in way[1:] if str(one.pattern).count("/") == 2), "")
    good = {name: list(known.get(f"{area}{name}") or known.get(name) or ["1"]) for name in parts}
    chosen = [dict(zip(good, values, strict=True)) for values in itertools.product(*good.values())]
    usual = {part: values[0] for part, values in good.items()}
    for name, kind in parts.items():
        odd = {IntConverter: ODD_NUMBERS, SlugConverter: ODD_SLUGS}.get(type(kind), ODD_TEXTS)
        chosen += [{**usual, name: value} for value in odd]
    return list(dict.fromkeys(_path(way, values) for values in chosen))


def _path(way: Way, values: Mapping[str, str]) -> str:
    text = "/" + "".join(str(one.pattern) for one in way)
    for name, value in values.items():
        text = re.sub(rf"<(?:\w+:)?{name}>", value.replace("\\", r"\\"), text)
    # What remains are patterns of regular expressions: the first choice, or anything.
    return (
        re.sub(r"\(\?P<\w+>([^)|]*)[^)]*\)", r"\1", text).replace("^", "").replace("$", "").replace(".*", "x")
    )


@dataclass(frozen=True, slots=True)
class Form:
    """A form as it stood on a page: where it goes, and what is in its fields."""

    address: str
    method: str
    fields: tuple[tuple[str, str], ...]


class Forms(HTMLParser):
    """The forms of a page."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address, self.found = address, list[Form]()
        self._open: tuple[str, str] | None = None
        self._fields: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = (urljoin(self.address, given.get("action", "")), given.get("method", "get").lower())
            self._fields = []
        elif self._open and tag in ("input", "select", "textarea", "button") and given.get("name"):
            self._fields.append((given["name"], given.get("value", "")))
        elif self._open and tag == "option" and "selected" in given and self._fields:
            self._fields[-1] = (self._fields[-1][0], given.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form" and self._open:
            self.found.append(Form(*self._open, tuple(self._fields)))
            self._open = None


def forms_on(address: str, page: str) -> list[Form]:
    parser = Forms(address)
    parser.feed(page)
    return parser.found
