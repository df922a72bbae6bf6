"""Reads a mapping file: YAML text to plain values, and those to a MappingSpec.

The YAML is read event by event rather than constructed: that way anchors, aliases, tags and duplicate
keys are each refused with their path and line, nothing is expanded, and only the scalars of the
YAML 1.2 core schema mean anything (`no` and `2024-01-01` are texts, a key is always a text).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml
from yaml import events

from mappings.language.checks import check_plain
from mappings.language.fields import Plain, WrittenNumber, inside
from mappings.language.spec import MappingSpec
from mappings.problems import Problem, Refused

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
MAX_DIGITS = 1000

NULLS = ("", "~", "null", "Null", "NULL")
BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
# Only what prints back as it was written is a whole number: 0049 and +49 stay the texts they may well be.
INTEGER = re.compile(r"0|-?[1-9][0-9]*")
FRACTION = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
UNSIGNED_OR_PADDED = re.compile(r"[-+]?[0-9]+")

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml reads the same language 20 times faster


def parse(text: str | bytes) -> MappingSpec:
    """The mapping that a file describes; Refused with every problem at once."""
    plain, unreadable = read(text)
    spec, problems = check_plain(plain)
    noted = {problem.path for problem in unreadable}
    result = unreadable + [problem for problem in problems if problem.path not in noted]
    if result:
        raise Refused(result)
    return spec


def read(text: str | bytes) -> tuple[Plain, list[Problem]]:
    """A file's plain values, and what YAML allows but a mapping file does not; Refused if it is not YAML."""
    reader = _Reader(_decoded(text))
    try:
        return reader.document(), reader.problems
    except yaml.YAMLError as error:
        raise Refused([*reader.problems, Problem("", _syntax_sentence(error))]) from error


def plain_scalar(text: str) -> Plain:
    """What an unquoted scalar means in the YAML 1.2 core schema."""
    if text in NULLS:
        return None
    if text in BOOLEANS:
        return BOOLEANS[text]
    if INTEGER.fullmatch(text):
        return int(text) if len(text) <= MAX_DIGITS else WrittenNumber(text)
    if FRACTION.fullmatch(text) and not UNSIGNED_OR_PADDED.fullmatch(text):
        return WrittenNumber(text)
    return text


def _decoded(text: str | bytes) -> str:
    """The file as text without its byte order mark; Refused if it is too large or not UTF-8."""
    try:
        data = text.encode() if isinstance(text, str) else text
        if len(data) > MAX_BYTES:
            raise Refused([Problem("", f"The file is larger than {MAX_BYTES // 1_000_000} MB.")])
        decoded = data.decode("utf-8-sig")
    except UnicodeError as error:
        where = f" (byte {error.start + 1})" if isinstance(error, UnicodeDecodeError) else ""
        raise Refused([Problem("", f"The file is not UTF-8 text{where}.")]) from error
    before, nul, _ = decoded.partition("\x00")
    if nul:
        line = before.count("\n") + 1
        raise Refused([Problem("", f"The file contains the character NUL (line {line}).")])
    if not decoded.strip():
        raise Refused([Problem("", "The file is empty.")])
    return decoded


def _line(event: events.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


def _syntax_sentence(error: yaml.YAMLError) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is not None and problem:
        return f"This is not YAML: {problem} (line {mark.line + 1}, column {mark.column + 1})."
    return "This is not YAML: it contains a character that YAML does not allow."


class _Reader:
    """Turns YAML events into plain values; refusals that do not stop the reading go to `problems`."""

    def __init__(self, text: str) -> None:
        self.events: Iterator[events.Event] = iter(yaml.parse(text, Loader=Loader))
        self.problems: list[Problem] = []

    def document(self) -> Plain:
        """The one document of the file."""
        next(self.events)  # the stream's start
        if isinstance(next(self.events), events.StreamEndEvent):
            raise Refused([Problem("", "The file is empty.")])
        plain = self._node(next(self.events), "", 1)
        next(self.events)  # the document's end
        if not isinstance(more := next(self.events), events.StreamEndEvent):
            line = _line(more)
            self.problems.append(
                Problem("", f"The file holds several YAML documents (the second: line {line}).")
            )
        if plain is None:
            raise Refused([*self.problems, Problem("", "The file is empty.")])
        return plain

    def _node(self, event: events.Event, path: str, depth: int) -> Plain:
        if depth > MAX_DEPTH:
            text = f"Is nested more than {MAX_DEPTH} levels deep (line {_line(event)})."
            raise Refused([*self.problems, Problem(path, text)])
        self._refuse_extras(event, path)
        if isinstance(event, events.MappingStartEvent):
            return self._mapping(path, depth)
        if isinstance(event, events.SequenceStartEvent):
            return self._sequence(path, depth)
        if isinstance(event, events.ScalarEvent):
            return str(event.value) if event.style else plain_scalar(event.value)
        return None

    def _refuse_extras(self, event: events.Event, path: str) -> None:
        """Notes anchors, aliases and tags: they make a file mean something else than it shows."""
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if isinstance(event, events.AliasEvent):
            what = f"alias *{anchor}"
        else:
            what = f"anchor &{anchor}" if anchor else f"tag {tag}" if tag else ""
        if what:
            line = _line(event)
            text = f"The {what[:60]} (line {line}) is not allowed: write the value out."
            self.problems.append(Problem(path, text))

    def _sequence(self, path: str, depth: int) -> list[Plain]:
        items: list[Plain] = []
        while not isinstance(event := next(self.events), events.SequenceEndEvent):
            items.append(self._node(event, f"{path}[{len(items)}]", depth + 1))
        return items

    def _mapping(self, path: str, depth: int) -> dict[str, Plain]:
        result: dict[str, Plain] = {}
        lines: dict[str, int] = {}
        while not isinstance(event := next(self.events), events.MappingEndEvent):
            line = _line(event)
            key = self._key(event, path, depth)
            value = self._node(next(self.events), inside(path, key or ""), depth + 1)
            if key is None:
                continue
            if key in result:
                text = f"Is written twice (lines {lines[key]} and {line})."
                self.problems.append(Problem(inside(path, key), text))
            else:
                result[key], lines[key] = value, line
        return result

    def _key(self, event: events.Event, path: str, depth: int) -> str | None:
        """A key as its text, whatever it looks like; None and a note where it is not a scalar."""
        if isinstance(event, events.ScalarEvent):
            self._refuse_extras(event, path)
            return str(event.value)
        line = _line(event)
        self._node(event, path, depth + 1)
        self.problems.append(Problem(path, f"A key must be a text (line {line})."))
        return None
