"""One answer for many tables at once: which rows, what if they are there, how they are traced back, and their targets.

Tables that an answer cannot be meant for, because they lack a column that it names, are left as they are and named.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from collections.abc import Mapping as Mappings
from dataclasses import dataclass

from mappings.expressions.parser import ExpressionError, parse_expression
from mappings.models import TableMapping
from mappings.problems import Problem, Refused
from mappings.studio.draft import Values, editing
from mappings.studio.edits import referring
from mappings.studio.frame import Desk
from mappings.studio.live import LiveSide
from mappings.studio.settings_form import QUESTIONS
from mappings.suggesting.sides import Table

NAME = "{name}"

Given = Mappings[str, str]


@dataclass(frozen=True, slots=True)
class Applied:
    """changed: how many tables say something else now; left: the names of those left as they were, each with why."""

    changed: int
    left: tuple[str, ...]


class Unfit(Exception):
    """A table for which an answer cannot be meant; the text says why."""


def apply(desk: Desk, tables: Sequence[TableMapping], given: Given, chosen: Sequence[str]) -> Applied:
    """Gives the chosen answers to those tables, in one edit. Refused where an answer itself is wrong."""
    changes = [CHANGES[name] for name in chosen if name in CHANGES]
    if not tables or not changes:
        raise Refused([Problem("", "Tick the tables, and what is to be answered for all of them.")])
    _check(given, chosen)
    left: list[str] = []
    changed = 0
    with editing(desk.mapping.pk, desk.user, f"Changed {', '.join(chosen)} of {len(tables)} tables") as edit:
        for shown in tables:
            row = edit.table(shown.pk)
            try:
                values = row.values
                for change in changes:
                    values = change(desk, row, values, given)
            except Unfit as unfit:
                left.append(f"{row.name} ({unfit})")
                continue
            changed += values != row.values
            edit.change(row, values)
    return Applied(changed, tuple(left))


def remove(desk: Desk, tables: Sequence[TableMapping]) -> int:
    """Takes those tables out, in one edit; Refused, naming them, while references of others point to one."""
    gone = {table.pk for table in tables}
    names = {table.name for table in tables}
    with editing(desk.mapping.pk, desk.user, f"Removed {len(tables)} tables") as edit:
        for name in sorted(names):
            users = [user for user in referring(edit.mapping, name, 0) if user.partition(".")[0] not in names]
            if users:
                text = f"{name} is what {', '.join(users)} point to; change these first, or remove their tables too."
                raise Refused([Problem("", text)])
        for row in edit.mapping.tables.filter(pk__in=gone):
            edit.remove(row)
    return len(gone)


def _check(given: Given, chosen: Sequence[str]) -> None:
    """Refuses what is wrong for every table."""
    where = given.get("where", "").strip()
    if "where" in chosen and where:
        try:
            parse_expression(where)
        except ExpressionError as error:
            raise Refused([Problem("where", str(error))]) from None
    if "targets" in chosen:
        check_patterns(given.get("from", ""), given.get("to", ""))


def _where(desk: Desk, row: TableMapping, values: Values, given: Given) -> Values:
    text = given.get("where", "").strip()
    if not text:
        return {key: value for key, value in values.items() if key != "where"}
    if not values.get("joins"):
        _has_columns(desk.live.source.find(row.source), [text])
    return {**values, "where": text}


def _has_columns(table: Table | None, expressions: Sequence[str]) -> None:
    """Raises Unfit where an expression names a column that the table does not have."""
    for text in expressions if table else ():
        try:
            named = parse_expression(text).columns
        except ExpressionError:
            continue
        missing = [name.name for name in named if table and table.column(name.name) is None]
        if missing:
            raise Unfit(f"has no column {missing[0]}")


def _existing(desk: Desk, row: TableMapping, values: Values, given: Given) -> Values:
    result = QUESTIONS["existing"][2](given)
    match = (result.get("existing") or {}).get("match", ())
    _has_columns(desk.live.target.find(row.target), match)
    return {**{key: value for key, value in values.items() if key != "existing"}, **result}


def _link(desk: Desk, row: TableMapping, values: Values, given: Given) -> Values:
    """Its backref stays as it is: that is a column of this source alone."""
    keys, _, read = QUESTIONS["link"]
    result = read({**given, "backref": "", "triggers": ""})
    backref = (values.get("link") or {}).get("backref")
    if backref:
        result["link"] = {**result.get("link", {}), "backref": backref}
    rest = {key: value for key, value in values.items() if key not in keys or key == "triggers"}
    return {**rest, **result}


def _triggers(desk: Desk, row: TableMapping, values: Values, given: Given) -> Values:
    result = QUESTIONS["link"][2](
        {"triggers": given.get("triggers", ""), "map": "1", "is_migrated": "is_migrated"}
    )
    rest = {key: value for key, value in values.items() if key != "triggers"}
    return {**rest, **{key: value for key, value in result.items() if key == "triggers"}}


def _targets(desk: Desk, row: TableMapping, values: Values, given: Given) -> Values:
    source = desk.live.source.find(row.source)
    name = source.name if source else row.source.rpartition(".")[2].strip('"')
    target = patterned(name, given.get("from", ""), given.get("to", ""), desk.live.target)
    if target is None:
        raise Unfit("no such table in the target")
    return {**values, "target": target}


Change = Callable[[Desk, TableMapping, Values, Given], Values]

CHANGES: dict[str, Change] = {
    "where": _where,
    "existing": _existing,
    "link": _link,
    "triggers": _triggers,
    "targets": _targets,
}


def check_patterns(from_: str, to: str) -> None:
    """Refused where one of them does not say where the name is, once."""
    for field, pattern in (("from", from_ or NAME), ("to", to)):
        if pattern.count(NAME) != 1:
            text = f"Write {NAME} once, where the table's own name is: old_{NAME}, crm.{NAME}."
            raise Refused([Problem(field, text)])


def patterned(source: str, from_: str, to: str, side: LiveSide) -> str | None:
    """The target table of a source table by two patterns such as tbl_{name} and crm.{name}; None where there is none.

    Upper and lower case are told apart only where both are there.
    """
    before, _, after = (from_.strip() or NAME).partition(NAME)
    match = re.fullmatch(f"{re.escape(before)}(.+){re.escape(after)}", source, re.IGNORECASE)
    if match is None:
        return None
    wanted = to.strip().replace(NAME, match[1])
    schema, _, name = wanted.rpartition(".")
    tables = [table for table in side.tables if table.kind in "rp" and schema in ("", table.schema)]
    same = [table for table in tables if table.name == name]
    same = same or [table for table in tables if table.name.lower() == name.lower()]
    return str(same[0].sql) if same else None
