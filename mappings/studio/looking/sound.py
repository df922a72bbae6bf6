"""The part of a draft's table that can be compiled: what is wrong is told by column, and left out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from mappings.language.canonical import default_name, file_form
from mappings.language.canonical import referred as names_in
from mappings.language.checks import check_plain
from mappings.language.fields import inside
from mappings.language.spec import MappingSpec
from mappings.models import Mapping, TableMapping
from mappings.problems import Problem
from mappings.studio.draft import Values, digest

LEFT_OUT = (
    "joins",
    "where",
    "key",
    "existing",
    "order_by",
    "link",
    "is_migrated",
    "alias",
    "distinct",
    "triggers",
    "walk",
)
"""Parts of a table mapping without which the rest can still be looked at."""


@dataclass(frozen=True, slots=True)
class Sound:
    """spec: this table first, then those it refers to, without their columns; None without source and target.

    columns: what is wrong with a target column's filling; others: with the rest, by part of the table mapping.
    """

    spec: MappingSpec | None
    columns: dict[str, str]
    others: dict[str, str]


MOST_KEPT = 64
_kept: dict[str, Sound] = {}


def sound_part(mapping: Mapping, table: TableMapping, parents: list[Values] | None = None) -> Sound:
    """What of the table can be compiled now. parents: those that it refers to, where they are at hand.

    It follows from what the draft says, and each answer of a page needs it more than once.
    """
    parents = parents_of(mapping, table) if parents is None else parents
    key = said(mapping, table, parents)
    if (kept := _kept.get(key)) is None:
        if len(_kept) >= MOST_KEPT:
            _kept.clear()
        kept = _kept[key] = _sound_part(mapping, dict(table.values), parents)
    return kept


def said(mapping: Mapping, table: TableMapping, parents: list[Values]) -> str:
    """The digest of all that decides what of the table can be compiled."""
    return digest([mapping.name, mapping.widen, mapping.on_error, mapping.params, table.values, parents])


def _sound_part(mapping: Mapping, values: Values, parents: list[Values]) -> Sound:
    columns: dict[str, str] = {}
    others: dict[str, str] = {}
    for _ in range(3):  # what is left out may have been what something else leaned on
        spec, problems = _checked(mapping, values, parents)
        if not problems:
            return Sound(spec, columns, others)
        names = [column["name"] for column in values.get("columns", ())]
        wrong: dict[str, str] = {}
        for problem in problems:
            name = next((name for name in names if _is_in(problem, inside("tables[0].columns", name))), None)
            if name is not None:
                wrong.setdefault(name, _text(problem, inside("tables[0].columns", name)))
            else:
                others.setdefault(_part(problem), problem.text)
        columns |= {name: text for name, text in wrong.items() if name not in columns}
        kept = [column for column in values.get("columns", ()) if column["name"] not in wrong]
        values = {key: value for key, value in values.items() if key not in others or key not in LEFT_OUT}
        values["columns"] = kept
        if not values.get("source") or not values.get("target") or {"source", "target"} & set(others):
            return Sound(None, columns, others)
        if not kept and set(others) <= {"columns"}:
            others.pop("columns", None)
            return Sound(spec, columns, others)
    return Sound(None, columns, others)


def _checked(
    mapping: Mapping, values: dict[str, Any], parents: list[dict[str, Any]]
) -> tuple[MappingSpec, list[Problem]]:
    plain = {
        "version": 1,
        "name": mapping.name,
        "widen": mapping.widen,
        "on_error": mapping.on_error,
        "params": mapping.params,
        "tables": [values, *parents],
    }
    spec, problems = check_plain(file_form(plain))
    return spec, [problem for problem in problems if problem.path.startswith("tables[0]")]


def parents_of(mapping: Mapping, table: TableMapping) -> list[Values]:
    """The table mappings that this one's references point to, by themselves. Only these are read whole."""
    wanted = frozenset(referred(table))
    return list(_parents(mapping.pk, mapping.version, mapping.updated, table.pk, wanted)) if wanted else []


@lru_cache(maxsize=64)
def _parents(
    pk: int, _version: int, _updated: datetime, table: int, wanted: frozenset[str]
) -> tuple[Values, ...]:
    """Kept by what every edit moves on."""
    tables = TableMapping.objects.filter(mapping=pk)
    named = tables.exclude(pk=table).values_list("pk", "values__name", "values__source")
    keys = [pk for pk, name, source in named if (name or default_name(source or "")) in wanted]
    return tuple(alone(parent) for parent in tables.filter(pk__in=keys))


def referred(table: TableMapping) -> set[str]:
    """The names of the other table mappings that this one's references point to."""
    return {name for column in table.values.get("columns", ()) for name in names_in(column)} - {table.name}


def alone(parent: TableMapping) -> Values:
    """What of a table mapping counts for those who refer to it."""
    kept = ("source", "target", "alias", "joins", "where", "key")
    said = {key: parent.values[key] for key in kept if key in parent.values}
    return {**said, "name": parent.name, "columns": []}


def _is_in(problem: Problem, path: str) -> bool:
    return problem.path == path or problem.path.startswith((f"{path}.", f"{path}["))


def _text(problem: Problem, path: str) -> str:
    """The sentence; with the part of the column that it is about, where that is not the whole."""
    rest = problem.path.removeprefix(path).lstrip(".")
    return f"{rest}: {problem.text}" if rest and rest not in ("expr", "from", "value") else problem.text


def _part(problem: Problem) -> str:
    """`where` of `tables[0].where`, `joins` of `tables[0].joins[1].condition`."""
    rest = problem.path.removeprefix("tables[0]").lstrip(".")
    return rest.partition(".")[0].partition("[")[0]
