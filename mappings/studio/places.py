"""Where on the studio's page a path of the mapping file is mended: the table, the column's editor, or the question."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from mappings.language.fields import inside
from mappings.models import Mapping, Revision, TableMapping
from mappings.studio.draft import digest
from mappings.studio.frame import studio_url
from mappings.studio.settings_form import QUESTIONS

Place = Callable[[str], str]


def places_of(mapping: Mapping, names: Sequence[str] | None = None) -> Place:
    """The studio's address of a path such as tables[2].columns.email.

    names: of the tables, in the order that the paths count in; None for the draft's own order.
    """
    tables = list(mapping.tables.order_by("position", "pk"))
    by_name = {table.name: table for table in tables}
    counted = tables if names is None else [by_name.get(name) for name in names]

    def place(path: str) -> str:
        number, _, rest = path.removeprefix("tables[").partition("]")
        if not path.startswith("tables[") or not number.isdecimal() or int(number) >= len(counted):
            return studio_url(mapping.pk)
        table = counted[int(number)]
        return _place_in(mapping, table, rest.lstrip(".")) if table else studio_url(mapping.pk)

    return place


def names_in(revision: Revision) -> list[str]:
    """The names of a revision's tables, in its order: what the paths of its plan count in."""
    return [TableMapping(values=values).name for values in json.loads(revision.canonical)["tables"]]


def _place_in(mapping: Mapping, table: TableMapping, rest: str) -> str:
    if rest.startswith("columns."):
        name = _column(table, rest)
        return f"{studio_url(mapping.pk, table=table.pk, column=name)}#column-{digest(name)}"
    part = rest.partition(".")[0].partition("[")[0]
    question = next((name for name, (keys, _, _) in QUESTIONS.items() if part in keys), "")
    fragment = f"#question-{question}" if question else ""
    return f"{studio_url(mapping.pk, table=table.pk, question=question)}{fragment}"


def _column(table: TableMapping, rest: str) -> str:
    """The column of `columns."a.b".lookup.key`: of those that are mapped the one whose path it begins with."""
    for column in table.values.get("columns", ()):
        path = inside("columns", column["name"])
        if rest == path or rest.startswith((f"{path}.", f"{path}[")):
            return str(column["name"])
    return rest.removeprefix("columns.").partition(".")[0].partition("[")[0]
