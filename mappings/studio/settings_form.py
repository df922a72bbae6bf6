"""The other questions about a table as small forms, each answered by a few parts of the table mapping."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from collections.abc import Mapping as Mappings
from dataclasses import dataclass

from mappings.models import TableMapping
from mappings.problems import Problem, Refused
from mappings.studio.draft import Values, digest
from mappings.studio.edits import parts

JOIN_PARTS = ("table", "alias", "condition", "type", "unnest", "ordinality")
MOST_JOINS = 20


@dataclass(frozen=True, slots=True)
class Question:
    """One question: the parts of the table mapping that answer it, and what its form shows."""

    name: str
    keys: tuple[str, ...]
    was: str
    fields: Mappings[str, object]


def shown_settings(table: TableMapping) -> dict[str, Question]:
    """Every question with its present answer."""
    return {
        name: Question(name, keys, digest(parts(table.values, keys)), show(table.values))
        for name, (keys, show, _) in QUESTIONS.items()
    }


def settings_of_form(given: Mappings[str, str], table: TableMapping) -> Values:
    """The parts of the table mapping that one question's form answers; Refused where there is no such question."""
    question = QUESTIONS.get(given.get("question", ""))
    if question is None:
        raise Refused([Problem("", "There is no such question.")])
    keys, _, read = question
    result = read(given)
    return {key: result.get(key) for key in keys}


def _given(given: Mappings[str, str], *keys: str) -> Values:
    """Those fields that are not empty, without blanks around them."""
    return {key: text for key in keys if (text := given.get(key, "").strip())}


def _tables_shown(values: Values) -> Values:
    return {key: values.get(key, "") for key in ("name", "source", "target")}


def _tables_read(given: Mappings[str, str]) -> Values:
    return _given(given, "name", "source", "target")


def _rows_shown(values: Values) -> Values:
    joins = [join for join in values.get("joins", ()) if isinstance(join, dict)]
    shown = [{part: join.get(part, "") for part in JOIN_PARTS} for join in joins]
    return {"where": values.get("where", ""), "alias": values.get("alias", ""), "joins": [*shown, {}]}


def _rows_read(given: Mappings[str, str]) -> Values:
    joins = []
    for number in range(MOST_JOINS):
        join = {part: given.get(f"join-{number}-{part}", "").strip() for part in JOIN_PARTS}
        if join["type"] == "inner":
            join["type"] = ""
        if any(join.values()):
            joins.append({part: text for part, text in join.items() if text})
    result = _given(given, "where", "alias")
    return {**result, "joins": joins} if joins else result


def _key_shown(values: Values) -> Values:
    key = values.get("key") or []
    content = key == "content"
    return {
        "key": "" if content else names_text(key),
        "content": content,
        "distinct": values.get("distinct", False),
        "order_by": values.get("order_by", ""),
        "walk": values.get("walk", ""),
    }


def _key_read(given: Mappings[str, str]) -> Values:
    values: Values = {}
    if given.get("content"):
        values["key"] = "content"
    elif names := listed(given.get("key", "")):
        values["key"] = names
    if given.get("distinct"):
        values["distinct"] = True
    return {**values, **_given(given, "order_by", "walk")}


def _existing_shown(values: Values) -> Values:
    existing = values.get("existing") or {}
    return {"match": "\n".join(existing.get("match", ())), "then": existing.get("then", "")}


def _existing_read(given: Mappings[str, str]) -> Values:
    match = [line.strip() for line in given.get("match", "").splitlines() if line.strip()]
    then = given.get("then", "")
    if not match and not then:
        return {}
    return {"existing": {"match": match, **({"then": then} if then else {})}}


def _link_shown(values: Values) -> Values:
    link = values.get("link") or {}
    source_id = link.get("source_id", "")
    return {
        "source_id": names_text([source_id] if isinstance(source_id, str) else source_id)
        if source_id
        else "",
        "no_source_id": source_id is False,
        "map": link.get("map", True),
        "backref": backref.get("column", "")
        if isinstance(backref := link.get("backref") or "", dict)
        else backref,
        "foreign_key": isinstance(backref, dict) and bool(backref.get("foreign_key")),
        "is_migrated": values.get("is_migrated", "is_migrated") or "",
        "triggers": off if isinstance(off := values.get("triggers", ""), str) else names_text(off),
    }


def _link_read(given: Mappings[str, str]) -> Values:
    link: Values = {}
    names = listed(given.get("source_id", ""))
    if given.get("no_source_id"):
        link["source_id"] = False
    elif names:
        link["source_id"] = names[0] if len(names) == 1 else names
    if not given.get("map"):
        link["map"] = False
    link |= _given(given, "backref")
    if given.get("foreign_key") and "backref" in link:
        link["backref"] = {"column": link["backref"], "foreign_key": True}
    values: Values = {"link": link} if link else {}
    if off := given.get("triggers", "").strip():
        values["triggers"] = off if off in ("on", "off") else listed(off)
    flag = given.get("is_migrated", "")
    return values if flag == "is_migrated" else {**values, "is_migrated": flag or False}


def names_text(names: Sequence[str]) -> str:
    """Names as they are typed: with commas between, as a JSON list where that would be read otherwise."""
    plain = ", ".join(names)
    is_plain = not plain.startswith("[") and listed(plain) == list(names)
    return plain if is_plain else json.dumps(list(names), ensure_ascii=False)


def listed(text: str) -> list[str]:
    """The names that are typed; Refused for a JSON list that is none."""
    if not text.strip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        names = json.loads(text)
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Refused([Problem("", 'Write names with commas between, or a JSON list such as ["a", "b"].')])
    return names


Show = Callable[[Values], Values]
Read = Callable[[Mappings[str, str]], Values]

QUESTIONS: dict[str, tuple[tuple[str, ...], Show, Read]] = {
    "tables": (("name", "source", "target"), _tables_shown, _tables_read),
    "rows": (("where", "alias", "joins"), _rows_shown, _rows_read),
    "key": (("key", "distinct", "order_by", "walk"), _key_shown, _key_read),
    "existing": (("existing",), _existing_shown, _existing_read),
    "link": (("link", "is_migrated", "triggers"), _link_shown, _link_read),
}
"""For each question the parts of the table mapping that answer it, how they are shown, and how they are read."""
