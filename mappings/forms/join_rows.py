"""Joins as rows of a form: one row each, with its table, alias, condition and type, and blank rows for more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from mappings.forms.fields import OfferingInput

PARTS = ("table", "alias", "condition", "type")
BLANK_ROWS = 2


def part_name(name: str, number: int, part: str) -> str:
    """The input of one part of the join on that row, counted from 0."""
    return f"{name}-{number}-{part}"


class JoinRows(forms.Widget):
    """A small table of inputs. Its value is a list of {table, alias, condition, type}; blank rows are left out."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs)
        kinds = [("", "inner"), ("left", "left")]
        self.inputs: dict[str, forms.Widget] = {
            "table": OfferingInput("source-tables"),
            "alias": forms.TextInput(attrs={"class": "narrow"}),
            "condition": forms.Textarea(attrs={"rows": 1, "cols": 40}),
            "type": forms.Select(choices=kinds),
        }

    def id_for_label(self, id_: str) -> str:
        return f"{id_}-0-table"

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        joins = [*(value or []), *({} for _ in range(BLANK_ROWS))]
        head = format_html_join("", '<th scope="col">{}</th>', ((part,) for part in PARTS))
        rows = format_html_join("", "<tr>{}</tr>", ((self._row(name, *row),) for row in enumerate(joins)))
        return format_html(
            '<table class="join-rows"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>', head, rows
        )

    def _row(self, name: str, number: int, join: Mapping[str, Any]) -> SafeString:
        def cell(part: str) -> SafeString:
            named, value = part_name(name, number, part), join.get(part)
            label = {"id": f"id_{named}", "aria-label": f"join {number + 1}, {part}"}
            return self.inputs[part].render(named, None if value == "inner" else value, label)

        return format_html_join("", "<td>{}</td>", ((cell(part),) for part in PARTS))

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> list[dict[str, str]]:
        rows, number = [], 0
        while part_name(name, number, "table") in data:
            row = {part: data.get(part_name(name, number, part), "") for part in PARTS}
            rows.append({part: text.replace("\r\n", "\n") for part, text in row.items() if text.strip()})
            number += 1
        return [row for row in rows if row]

    def value_omitted_from_data(self, data: Mapping[str, Any], files: Any, name: str) -> bool:
        return part_name(name, 0, "table") not in data


class JoinsField(forms.Field):
    """Joins as in the file. What each must have is checked by the mapping's own rules."""

    widget = JoinRows

    def has_changed(self, initial: Any, data: Any) -> bool:
        return [_plain(join) for join in initial or []] != list(data or [])


def _plain(join: Mapping[str, Any]) -> dict[str, Any]:
    """A join without what it says by default."""
    return {part: value for part, value in join.items() if (part, value) != ("type", "inner")}
