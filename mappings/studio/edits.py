"""What can be done to a draft, one function each: fill a column, answer a question, add and order tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mappings.language.canonical import canonical, referred
from mappings.language.spec import MappingSpec
from mappings.models import Mapping, TableMapping
from mappings.problems import Problem, Refused
from mappings.store import SAME_IN_MAPPING, settings_of, settings_of_spec
from mappings.studio.draft import (
    Overtaken,
    User,
    Values,
    changed_by_others,
    digest,
    editing,
    who_changed,
    who_settled,
)

LONGEST = 20_000
"""Characters of one thing that somebody types."""


def column_of(values: Values, name: str) -> Values | None:
    """How a target column is filled, in canonical values; None where it is not mapped."""
    return next((column for column in values.get("columns", ()) if column["name"] == name), None)


def fill(mapping: int, table: int, name: str, filling: Values | None, was: str | None, author: User) -> None:
    """Fills a target column, or leaves it to its default (None).

    was: the digest of what the page showed; Overtaken where that is no longer what the draft says.
    """
    _check_sizes({"name": name, **(filling or {})})
    words = f"{name}: {_words(filling)}"
    with editing(mapping, author, words) as edit:
        row = edit.table(table)
        now = column_of(row.values, name)
        if was is not None and was != digest(now) and now != _column(name, filling):
            raise Overtaken(who_changed(edit.mapping, table))
        edit.change(row, with_column(row.values, name, filling))


def fill_many(mapping: int, fillings: dict[int, list[tuple[str, Values]]], author: User) -> int:
    """Fills target columns of several tables that are not filled yet, never others, in one edit; how many."""
    count = 0
    with editing(mapping, author, "Took the proposals that are sure") as edit:
        for table, filled in fillings.items():
            if not filled:
                continue
            row = edit.table(table)
            values = row.values
            for name, filling in filled:
                if column_of(values, name) is None:
                    values, count = with_column(values, name, filling), count + 1
            edit.change(row, values)
    return count


def with_column(values: Values, name: str, filling: Values | None) -> Values:
    """The table's values with one column filled otherwise; in its place if it was there, else at the end."""
    columns = [dict(column) for column in values.get("columns", ())]
    at = next((number for number, column in enumerate(columns) if column["name"] == name), None)
    new = _column(name, filling)
    if new is None:
        columns = [column for column in columns if column["name"] != name]
    elif at is None:
        columns.append(new)
    else:
        columns[at] = new
    return {**values, "columns": columns}


def _column(name: str, filling: Values | None) -> Values | None:
    return {"name": name, **filling} if filling else None


def _words(filling: Values | None) -> str:
    if not filling:
        return "left to its default"
    for key in ("expr", "from"):
        if key in filling:
            text = filling[key] if isinstance(filling[key], str) else ", ".join(map(str, filling[key]))
            parents = referred(filling)
            text += ", unique" if "unique" in filling else ""
            return f"{text} → {', '.join(parents)}" if parents else text
    if "number" in filling:
        return "the next number"
    return f"always {filling.get('value')!r}"


def change_table(mapping: int, table: int, given: Values, was: str | None, author: User) -> None:
    """Changes other parts of a table mapping: each key of `given`, None to leave it out.

    was: the digest of those parts as the page showed them.
    """
    _check_sizes(given)
    with editing(mapping, author, f"Changed {', '.join(given)}") as edit:
        row = edit.table(table)
        if was is not None and was != digest(parts(row.values, given)):
            raise Overtaken(who_changed(edit.mapping, table))
        kept = {key: value for key, value in {**row.values, **given}.items() if value is not None}
        edit.change(row, kept)


def parts(values: Values, keys: Iterable[str]) -> Values:
    """Those parts of a table mapping; None where it does not say."""
    return {key: values.get(key) for key in sorted(keys)}


def add_tables(mapping: int, tables: Sequence[Values], author: User) -> list[TableMapping]:
    """New table mappings at the end; each gets a name of its own where its source's name is taken."""
    text = f"Added {len(tables)} tables" if len(tables) > 1 else "Added a table"
    with editing(mapping, author, text) as edit:
        taken = {table.name for table in edit.mapping.tables.all()}
        made = []
        for values in tables:
            name = TableMapping(values=values).name
            free = next(n for n in _names(name) if n not in taken)
            taken.add(free)
            made.append(edit.add({**values, "name": free} if free != name else values))
        return made


def _names(name: str) -> Iterable[str]:
    yield name
    number = 2
    while True:
        yield f"{name}_{number}"
        number += 1


def remove_table(mapping: int, table: int, since: int | None, author: User) -> None:
    """Takes a table mapping out; Refused, naming them, while references of others point to it.

    since: the mapping's version as the page showed it; Overtaken where somebody else changed the table after it.
    """
    with editing(mapping, author, "Removed a table") as edit:
        row = edit.table(table)
        newer = changed_by_others(edit.mapping, table, since, author) if since is not None else None
        if newer:
            raise Overtaken(newer)
        users = referring(edit.mapping, row.name, row.pk)
        if users:
            text = f"{row.name} is what {', '.join(users)} point to; change these first."
            raise Refused([Problem("", text)])
        edit.remove(row)


def referring(mapping: Mapping, name: str, besides: int) -> list[str]:
    """`table.column` of each reference to the table mapping of that name."""
    return [
        f"{table.name}.{column['name']}"
        for table in mapping.tables.exclude(pk=besides)
        for column in table.values.get("columns", ())
        if name in referred(column)
    ]


def order_tables(mapping: int, order: Sequence[int], author: User) -> None:
    """The tables in this order; those that are not named keep theirs behind them."""
    with editing(mapping, author, "Changed the order of the tables") as edit:
        tables = {table.pk: table for table in edit.mapping.tables.all()}
        chosen = [tables[pk] for pk in dict.fromkeys(order) if pk in tables]
        rest = [table for table in tables.values() if table not in chosen]
        for position, table in enumerate([*chosen, *rest]):
            edit.move(table, position)


def change_settings(mapping: int, given: Values, shown: Values | None, author: User) -> None:
    """Changes the mapping's own settings: name, description, widen, on_error, max_quarantined, params.

    shown: them as the page had them, None where it does not say. What was left as it was shown is not touched;
    Overtaken where something that was changed is no longer what was shown.
    """
    _check_sizes(given)
    meant = {key: value for key, value in given.items() if shown is None or shown.get(key) != value}
    with editing(mapping, author, f"Changed {', '.join(meant)}") as edit:
        now = settings_of(edit.mapping)
        moved = [key for key, value in meant.items() if shown and now[key] not in (shown.get(key), value)]
        if moved:
            raise Overtaken(who_settled(edit.mapping, moved))
        edit.settle(meant)


def replace_all(mapping: int, spec: MappingSpec, version: int | None, author: User, text: str) -> None:
    """The draft says what `spec` says; tables that are in both keep their place in the history.

    version: the mapping's as the page showed it; Overtaken where it moved on.
    """
    with editing(mapping, author, text) as edit:
        if version is not None and edit.mapping.version - 1 != version:
            raise Overtaken(edit.mapping.edits.select_related("author").last())
        edit.settle({"name": spec.name, **settings_of_spec(spec)})
        old = {table.name: table for table in edit.mapping.tables.all()}
        for position, values in enumerate(canonical(spec)["tables"]):
            row = old.pop(TableMapping(values=values).name, None)
            if row is None:
                row = edit.add(values)
            edit.change(row, values)
            edit.move(row, position)
        for row in old.values():
            edit.remove(row)


def duplicate(mapping: Mapping, name: str, author: User) -> Mapping:
    """A draft of another name that says the same."""
    copy = Mapping(name=name, **{field: getattr(mapping, field) for field in SAME_IN_MAPPING})
    copy.full_clean()
    copy.save()
    TableMapping.objects.bulk_create(
        TableMapping(mapping=copy, position=table.position, values=table.values)
        for table in mapping.tables.order_by("position", "pk")
    )
    return copy


def _check_sizes(values: Any) -> None:
    """Refuses what is longer than anybody types, and characters that no name or SQL has."""
    problems = [
        Problem(key, f"Is longer than {LONGEST} characters.")
        for key, value in values.items()
        if len(str(value)) > LONGEST
    ]
    if problems:
        raise Refused(problems)
