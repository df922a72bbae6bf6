"""Reads single fields out of plain values, noting each thing that is wrong with its path.

A getter answers a stand-in after noting a problem, so that one pass finds every problem of a file.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from mappings.expressions.parser import Expression, Ordering
from mappings.expressions.tokens import MAX_NAME_BYTES, ExpressionError
from mappings.problems import Problem

PLAIN_STEP = re.compile(r"[\w%$*-]+")


@dataclass(frozen=True, slots=True)
class WrittenNumber:
    """A number with a fraction or an exponent, as the text that was written; only in JSON it is a number."""

    text: str


Plain = dict[str, "Plain"] | list["Plain"] | WrittenNumber | str | int | float | bool | None


def inside(path: str, key: str) -> str:
    """The path of `key` in the mapping at `path`; unusual names are quoted so that a path reads one way."""
    step = key if PLAIN_STEP.fullmatch(key) else quoted(key)
    return f"{path}.{step}" if path else step


def quoted(text: str) -> str:
    """A text out of a file as messages show it: quoted, escaped, at most 80 characters."""
    shown = json.dumps(text[:77] + "..." if len(text) > 80 else text, ensure_ascii=False)
    return shown.encode("utf-8", "backslashreplace").decode()


def text_problem(text: str) -> str | None:
    """Why PostgreSQL could not store `text`, or None."""
    if "\x00" in text:
        return "Contains the character NUL, which PostgreSQL cannot store."
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        return "Contains half a surrogate pair, which is not a character."
    return None


def name_problem(name: str) -> str | None:
    """Why `name` cannot be a name in PostgreSQL, or None."""
    if not name:
        return "The name is empty."
    if problem := text_problem(name):
        return problem
    size = len(name) if name.isascii() else len(name.encode())
    if size > MAX_NAME_BYTES:
        return f"The name is {size} bytes long; PostgreSQL allows {MAX_NAME_BYTES}."
    return None


def label_problem(name: str) -> str | None:
    """Why a name that a mapping makes up will not do, or None: it stands in comments, on terminals, on one line."""
    if problem := name_problem(name):
        return problem
    if all(character.isprintable() for character in name):
        return None
    return "Contains a control character, such as a line break or a tab, which a name may not."


class Notes:
    """The problems found so far, and the checks of single values that need nothing else."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.parameters: list[tuple[str, str]] = []
        """(path, name) of each :name in the SQL that was read."""

    def refuse(self, path: str, text: str) -> None:
        self.problems.append(Problem(path, text))

    def text(self, path: str, value: Plain, empty: bool = False) -> str:
        """`value` if it is a text that PostgreSQL can store, else '' and a note."""
        if type(value) is not str:
            self.refuse(path, f"Must be a text, not {described(value)}.")
            return ""
        problem = text_problem(value)
        if problem is None and not empty and not value.strip():
            problem = "Is empty."
        if problem:
            self.refuse(path, problem)
            return ""
        return value

    def name(self, path: str, value: Plain, problem_of: Callable[[str], str | None] = name_problem) -> str:
        """`value` if it can be a name in PostgreSQL, else '' and a note."""
        if type(value) is not str:
            self.refuse(path, f"Must be a name, not {described(value)}.")
            return ""
        if problem := problem_of(value):
            self.refuse(path, problem)
            return ""
        return value

    def sql(self, path: str, value: Plain, parse: Callable[[str], object]) -> str:
        """`value` if `parse` accepts it, else '' and a note."""
        text = self.text(path, value)
        if not text:
            return ""
        try:
            parsed = parse(text)
        except ExpressionError as error:
            self.refuse(path, str(error))
            return ""
        if isinstance(parsed, Expression | Ordering):
            self.parameters += [(path, name) for name in dict.fromkeys(parsed.parameters)]
        return text

    def fraction(self, path: str, written: str) -> int | float | None:
        """A number inside a list or mapping, that is in JSON; None and a note if a float cannot hold it."""
        value = float(written)
        if not math.isfinite(value) or Decimal(repr(value)) != Decimal(written):
            self.refuse(
                path, f"The number {written[:40]} cannot be kept exactly; write it in quotes as a text."
            )
            return None
        # jsonb prints 1e16 and more as whole numbers and knows no -0.0: the same spelling from the start
        return int(Decimal(written)) if "e+" in repr(value) else value + 0.0


def names_in(
    notes: Notes,
    path: str,
    values: Sequence[Plain],
    aliases: frozenset[str] = frozenset(),
    problem_of: Callable[[str], str | None] = name_problem,
) -> tuple[str, ...]:
    """A list of different names; with aliases each may be `alias.column`, and only the column is measured."""
    names: list[str] = []
    for number, value in enumerate(values):
        here = f"{path}[{number}]" if len(values) > 1 else path
        head, dot, tail = value.partition(".") if type(value) is str else ("", "", "")
        notes.name(here, tail if dot and head in aliases else value, problem_of)
        name = value if type(value) is str else ""
        if name and name in names:
            notes.refuse(here, f"{quoted(name)} is listed twice.")
        names.append(name)
    return tuple(names)


def described(value: Plain) -> str:
    """What a value is, in the words of the file."""
    if value is None:
        return "empty (null)"
    if isinstance(value, bool):
        return f"{'true' if value else 'false'} (write it in quotes if it is meant as a text)"
    if isinstance(value, (int, float, WrittenNumber)):
        return "a number (write it in quotes if it is meant as a text)"
    return {dict: "a mapping", list: "a list"}.get(type(value), "a text")


class Fields:
    """One mapping of the file, at `path`; unknown keys are noted at once, the rest by the getters."""

    def __init__(self, notes: Notes, path: str, value: Plain, known: tuple[str, ...]) -> None:
        self.notes, self.path = notes, path
        self.is_mapping = isinstance(value, dict)
        self.values: dict[str, Plain] = value if isinstance(value, dict) else {}
        if not self.is_mapping:
            self.note(f"Must be a mapping with the keys {', '.join(known)}; it is {described(value)}.")
        for key in self.values:
            if key not in known:
                near = difflib.get_close_matches(key.lower(), known, 1)
                hint = f"did you mean {near[0]}?" if near else f"the keys here are {', '.join(known)}."
                self.refuse(key, f"Unknown key; {hint}")

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def at(self, key: str) -> str:
        return inside(self.path, key)

    def note(self, text: str) -> None:
        self.notes.refuse(self.path, text)

    def refuse(self, key: str, text: str) -> None:
        """Notes a problem at `key`, which may itself be a path such as `joins[1].alias`."""
        known_path = re.fullmatch(r"[a-z_]+\[\d+\]\.[a-z_]+", key)
        path = f"{self.path}.{key}" if known_path else self.at(key)
        self.notes.refuse(path, text)

    def get(self, key: str) -> Plain:
        return self.values.get(key)

    def required(self, key: str) -> Plain:
        """The value, or None and a note that it is missing; no note where the whole is not a mapping."""
        value = self.get(key)
        if value is None and self.is_mapping:
            self.refuse(key, "Is missing.")
        return value

    def _wanted(self, key: str, required: bool) -> Plain:
        return self.required(key) if required else self.get(key)

    def text(self, key: str, required: bool = False, empty: bool = False) -> str | None:
        value = self._wanted(key, required)
        return None if value is None else self.notes.text(self.at(key), value, empty)

    def name(self, key: str, required: bool = False) -> str | None:
        """A name that the mapping makes up."""
        value = self._wanted(key, required)
        return None if value is None else self.notes.name(self.at(key), value, label_problem)

    def column(self, key: str) -> str | None:
        """The name of a column that is there, whatever it is called."""
        value = self._wanted(key, False)
        return None if value is None else self.notes.name(self.at(key), value)

    def sql(self, key: str, parse: Callable[[str], object], required: bool = False) -> str:
        """The SQL as written; '' where it is absent or wrong."""
        value = self._wanted(key, required)
        return "" if value is None else self.notes.sql(self.at(key), value, parse)

    def flag(self, key: str, default: bool) -> bool:
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            self.refuse(key, "Must be true or false.")
            return default
        return value

    def count(self, key: str, default: int) -> int:
        value = self.values.get(key, default)
        if type(value) is not int or value < 0:
            self.refuse(key, "Must be a whole number, 0 or more.")
            return default
        return value

    def choice(self, key: str, options: tuple[str, ...], required: bool = False) -> Any:
        """One of `options`, or None where it is absent or wrong."""
        value = self._wanted(key, required)
        if value is not None and value not in options:
            self.refuse(key, f"Must be one of {', '.join(options)}.")
            return None
        return value

    def items(self, key: str, required: bool = False) -> Iterator[tuple[str, Plain]]:
        """Path and value of each item of a list; a required list has at least one."""
        value = self._wanted(key, required)
        if value is None:
            return
        if not isinstance(value, list) or (required and not value):
            self.refuse(key, "Must be a list" + (" with at least one item." if required else "."))
            return
        yield from ((f"{self.at(key)}[{number}]", item) for number, item in enumerate(value))
