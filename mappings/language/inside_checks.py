"""Checks what a column says of ids inside its value: each, split, pattern and refs, and of a missing one."""

from __future__ import annotations

import re
from collections.abc import Callable

from mappings.language.fields import Fields, Notes, Plain
from mappings.language.spec import InsidePolicy, PathRef, Ref

INSIDE_KEYS = ("each", "split", "pattern", "refs")
POLICIES = ("stop", "quarantine", "null", "drop", "keep")
STEP = re.compile(r"""\.([A-Za-z_][\w-]*)|\."((?:[^"\\]|\\.)+)"|\[(\d+|\*)\]""")
PIECES = re.compile(r"\\.|\[\^?\]?(?:\[:[a-z]+:\]|\\.|[^\]\\])*\]|\(\?|[()|]|.", re.DOTALL)

OneRef = Callable[[Notes, str, Plain], Ref]
Step = str | int | None
"""A key, the number of an element, or None for every element."""


def steps_of(path: str) -> tuple[Step, ...] | None:
    """The steps of `$.steps[*].task`; None where it is no such path."""
    steps: list[Step] = []
    at = 1
    while path[:1] == "$" and at < len(path) and (match := STEP.match(path, at)):
        plain, quoted, place = match.groups()
        if place is not None:
            steps.append(None if place == "*" else int(place))
        else:
            steps.append(plain or re.sub(r"\\(.)", r"\1", quoted))
        at = match.end()
    return tuple(steps) if steps and at == len(path) else None


def groups_of(pattern: str) -> tuple[str, str, str] | str:
    """What a pattern says before, in and behind its one group; or a sentence that says why it will not do."""
    depth, end = 0, 0
    groups: list[tuple[int, int]] = []
    for piece in PIECES.finditer(pattern):
        sign = piece[0]
        if sign[0] == "\\" and sign[1:2] in tuple("123456789"):
            return "Refers back to a group, which it may not."
        if sign == "|" and depth == 0:
            return "Offers alternatives with |; put them in (?:\u2026|\u2026)."
        groups += [(piece.start(), depth)] if sign == "(" else []
        depth += (sign in ("(", "(?")) - (sign == ")")
        if sign == ")" and groups and depth == groups[-1][1] and not end:
            end = piece.end()
    if len(groups) != 1:
        return f"Needs one group in (\u2026), which is the id; it has {len(groups) or 'none'}."
    ((start, inside),) = groups
    if inside or pattern[end : end + 1] in ("*", "+", "?", "{"):
        return "Its group may be neither inside another one nor repeated."
    return pattern[:start], pattern[start:end], pattern[end:]


def check_inside(fields: Fields) -> None:
    """At most one of each, split, pattern and refs, the first three beside ref, refs without it."""
    ways = [key for key in INSIDE_KEYS if fields.get(key) not in (None, False)]
    ref = fields.get("ref")
    if len(ways) > 1:
        fields.note(f"Has {' and '.join(ways)}; a column can have only one of them.")
    for way in ways:
        if way == "refs" and ref is not None:
            fields.refuse("refs", "Each of refs names its own table mapping; leave ref out.")
        elif way != "refs" and ref is None:
            fields.refuse(
                way, "Says where in the value ids are; it needs ref, which says what they point to."
            )
        elif way != "refs" and not _is_plain(ref):
            fields.refuse(way, "Ids inside a value can point to one table mapping only.")
        if fields.get("lookup") is not None or "value" in fields:
            fields.refuse(way, "Needs from or expr, and no lookup.")
        if isinstance(fields.get("from"), list):
            fields.refuse("from", "Ids inside a value are in one column.")


def _is_plain(ref: Plain) -> bool:
    return isinstance(ref, str) or (isinstance(ref, dict) and set(ref) <= {"table", "column"})


def split_of(fields: Fields) -> str | None:
    """The text between two ids."""
    value = fields.get("split")
    return None if value is None else fields.notes.text(fields.at("split"), value, empty=False) or None


def pattern_of(fields: Fields) -> str | None:
    pattern = fields.text("pattern")
    if pattern and isinstance(why := groups_of(pattern), str):
        fields.refuse("pattern", why)
        return None
    return pattern


def refs_of(fields: Fields, one_ref: OneRef) -> tuple[PathRef, ...]:
    """The references inside a document. one_ref: checks a single one."""
    path_refs: list[PathRef] = []
    for path, item in fields.items("refs"):
        inner = Fields(fields.notes, path, item, ("path", "ref", "missing"))
        place, value = inner.text("path", required=True), inner.required("ref")
        if place and steps_of(place) is None:
            inner.refuse(
                "path", "Must be a path such as $.owner or $.steps[*].task; a key with other signs in quotes."
            )
        elif place in [one.path for one in path_refs]:
            inner.refuse("path", "Is listed twice.")
        ref = one_ref(fields.notes, inner.at("ref"), value) if value is not None else Ref("")
        path_refs.append(PathRef(place or "", ref, missing_of(inner)))
    return tuple(path_refs)


def missing_of(fields: Fields, policies: tuple[str, ...] = POLICIES) -> InsidePolicy | None:
    """What happens where a parent was not migrated."""
    if "missing" in fields and fields.get("missing") is None:
        fields.refuse("missing", 'Is empty; to leave the reference NULL, write "null" in quotes.')
        return None
    missing: InsidePolicy | None = fields.choice("missing", policies)
    return missing
