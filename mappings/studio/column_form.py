"""What is typed for a target column, as canonical values: a source column, an expression, a constant, a reference."""

from __future__ import annotations

import json
from collections.abc import Mapping as Mappings
from typing import Any

from mappings.expressions.parser import ExpressionError, parse_expression
from mappings.language.fields import Plain, WrittenNumber
from mappings.language.file import plain_scalar, read
from mappings.language.inside_checks import INSIDE_KEYS
from mappings.problems import Problem, Refused
from mappings.studio.draft import Values
from mappings.studio.live import Live
from mappings.suggesting.sides import Table

MISSING = ("stop", "quarantine", "null", "drop", "keep")
MORE = INSIDE_KEYS
"""Keys of the file that have no field of their own beside a reference."""


def filling_of(given: Mappings[str, str], current: Values | None, names: frozenset[str]) -> Values | None:
    """The filling that a form says; None where the column is left to its default.

    given: how, text and the fields of that way; names: what `from` may be, as in the file. The plain input has no
    `how`: what is typed there keeps a reference or a lookup that stands on it.
    """
    how, text = given.get("how", ""), given.get("text", "")
    if how == "taken" or (not how and current and "number" in current):
        return _taken(given, current or {}, names)
    if how == "value":
        return {"value": constant_of(given.get("value", "").strip())}
    if how == "default" or not text.strip():
        return None
    return {**typed(text, names), **_stands_on_it(how, given, current or {})}


def _stands_on_it(how: str, given: Mappings[str, str], current: Values) -> Values:
    """The reference or lookup that begins with what is typed."""
    if how == "lookup":
        lookup = {key: given.get(f"lookup_{key}", "").strip() for key in ("table", "key", "value")}
        return {"lookup": {key: value for key, value in lookup.items() if value}}
    if how == "ref":
        return {**_reference(given), **more_of(given.get("more", ""))}
    kept = () if how in ("from", "expr") else ("lookup", "ref", "missing", "unique", *MORE)
    return {key: current[key] for key in kept if key in current}


def _taken(given: Mappings[str, str], current: Values, names: frozenset[str]) -> Values:
    """A text with a suffix where it is taken; without a text the next number."""
    if "suffix" not in given:  # the plain input
        return {key: value for key, value in current.items() if key != "name"}
    within = [name.strip() for name in given.get("within", "").split(",") if name.strip()]
    values: Values = {"within": within} if within else {}
    if given.get("text", "").strip():
        lookup = {"lookup": current["lookup"]} if "lookup" in current else {}
        return {**typed(given["text"], names), **lookup, "unique": {"suffix": given["suffix"], **values}}
    order, after = given.get("order_by", "").strip(), given.get("after", "").strip() or "existing"
    values |= {"order_by": order} if order else {}
    return {"number": {**values, "after": constant_of(after)}}


def taken_fields(filling: Values) -> dict[str, str]:
    """What the form shows of it."""
    unique, number = filling.get("unique", {}), filling.get("number", {})
    within = (unique or number).get("within", [])
    after = number.get("after", "existing")
    return {
        "suffix": unique.get("suffix", "-{n}"),
        "within": ", ".join(within) if isinstance(within, list) else str(within),
        "order_by": number.get("order_by", ""),
        "after": "" if after == "existing" else str(after),
    }


def taken_words(filling: Values) -> str:
    """The same in a word or two."""
    way = filling.get("unique") or filling.get("number") or {}
    within = f" within {', '.join(way['within'])}" if isinstance(way.get("within"), list) else ""
    return f"unique{within}, else {way['suffix']}" if "suffix" in way else f"next number{within}"


def more_of(text: str) -> Values:
    """What the file can say of a reference beside its table and column, typed as the file has it."""
    if not text.strip():
        return {}
    try:
        plain, problems = read(text)
    except Refused as refused:
        raise Refused(
            [Problem("", f"More, as in the file: {problem.text}") for problem in refused.problems]
        ) from None
    if not isinstance(plain, dict) or problems:
        raise Refused([Problem("", "More, as in the file: write a mapping such as {ref: [a, b]}.")])
    return {key: _kept(value) for key, value in plain.items()}


def _kept(value: Plain) -> Any:
    """A value as a draft keeps it, which is JSON: a number with a fraction as the text that was written."""
    if isinstance(value, dict):
        return {key: _kept(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_kept(item) for item in value]
    return value.text if isinstance(value, WrittenNumber) else value


def how_of(filling: Values | None) -> str:
    """Which way a column is filled."""
    if not filling:
        return "default"
    if "unique" in filling or "number" in filling:
        return "taken"
    if "refs" in filling:
        return "ref"
    for key in ("ref", "lookup"):
        if key in filling:
            return key
    return next((key for key in ("expr", "from") if key in filling), "value")


def text_of(filling: Values | None) -> str:
    """What stands in the input of a column: a source column or an expression."""
    if not filling:
        return ""
    if "from" in filling:
        names = filling["from"]
        return names if isinstance(names, str) else ", ".join(names)
    return str(filling.get("expr", ""))


def more_text(filling: Values) -> str:
    """What to type to get it."""
    simple = isinstance(filling.get("ref"), str) or set(filling.get("ref", ())) <= {"table", "column"}
    result = {key: filling[key] for key in (*MORE, *(() if simple else ("ref",))) if key in filling}
    return json.dumps(result, ensure_ascii=False) if result else ""


def typed(text: str, names: frozenset[str]) -> Values:
    """A source column where the text is the name of one (or several of them), an expression otherwise."""
    if text in names:
        return {"from": text}
    text = text.strip()
    if text in names:
        return {"from": text}
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > 1 and all(part in names for part in parts):
        return {"from": parts}
    try:
        columns = parse_expression(text).columns
    except ExpressionError:
        columns = ()
    if len(columns) == 1 and text.strip('"') == columns[0].name and columns[0].name in names:
        return {"from": columns[0].name}
    return {"expr": text}


def _reference(given: Mappings[str, str]) -> Values:
    table, column, missing = (given.get(key, "") for key in ("ref_table", "ref_column", "missing"))
    ref: str | Values = {"table": table, "column": column} if column else table
    return {**({"ref": ref} if table else {}), **({"missing": missing} if missing in MISSING else {})}


def constant_of(text: str) -> Any:
    """A constant as in the file: legacy, 12, true, null, "12" for a text, [..] and {..} as JSON."""
    if text[:1] not in ('"', "[", "{"):
        scalar = plain_scalar(text)
        return scalar.text if isinstance(scalar, WrittenNumber) else scalar
    try:
        return json.loads(text)
    except ValueError:
        raise Refused([Problem("", 'A constant that begins with ", [ or { must be JSON.')]) from None


def constant_text(value: Any) -> str:
    """What to type to get this constant."""
    is_plain = isinstance(value, str) and value == value.strip() and value[:1] not in ("", '"', "[", "{")
    if is_plain and isinstance(plain_scalar(value), str | WrittenNumber) and "\n" not in value:
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def source_names(values: Values, live: Live) -> frozenset[str]:
    """What `from` and `key` may name: columns of the source, with joins also `alias.column`."""
    return frozenset(name for name, _ in named_columns(values, live))


def named_columns(values: Values, live: Live) -> list[tuple[str, str]]:
    """(name, type) of every source column that this table mapping can use, in the tables' order."""
    joins = [join for join in values.get("joins", ()) if isinstance(join, dict)]
    tables: list[tuple[str, Table | None]] = [
        (str(values.get("alias") or ""), live.source.find(str(values.get("source", "")))),
        *((str(join.get("alias", "")), live.source.find(str(join.get("table", "")))) for join in joins),
    ]
    named: dict[str, str] = {}
    for alias, table in tables:
        for column in table.columns if table else ():
            if joins:
                named.setdefault(f"{alias}.{column.name}", column.type)
    for join in joins:
        for part in ("alias", "ordinality") if join.get("unnest") else ():
            named.setdefault(
                f"{join.get('alias')}.{join.get(part)}", "bigint" if part == "ordinality" else "element"
            )
    for _, table in tables:
        for column in table.columns if table else ():
            named.setdefault(column.name, column.type)
    return list(named.items())
