"""The page on which many tables get one answer."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from mappings.models import TableMapping
from mappings.problems import Problem, Refused
from mappings.studio.frame import Desk, edits, looks, values_of_form
from mappings.studio.left_list import entries
from mappings.studio.several import Given, apply, remove
from mappings.web.numbers import whole_number

NAMED = 5
"""Tables that a message names."""


@looks
def several(desk: Desk) -> HttpResponse:
    """Every table to be ticked, and what can be answered for many."""
    return desk.render("several", entries=entries(desk), given={}, chosen=(), ticked=set())


@edits
def change(desk: Desk) -> HttpResponse:
    """Gives the answers to the tables that were ticked, or takes them out; what is refused loses nothing typed."""
    post, given = desk.request.POST, values_of_form(desk)
    chosen = post.getlist("change")
    tables = _ticked(desk)
    try:
        if "remove" in post:
            _remove(desk, tables)
        else:
            _apply(desk, tables, given, chosen)
    except Refused as refused:
        problems = [problem.text for problem in refused.problems]
        ticked = {table.pk for table in tables}
        return desk.render(
            "several", entries=entries(desk), given=given, chosen=chosen, ticked=ticked, problems=problems
        )
    return redirect(reverse("admin:studio-several", args=[desk.mapping.pk]))


def _ticked(desk: Desk) -> list[TableMapping]:
    pks = set(map(whole_number, desk.request.POST.getlist("table")))
    return [table for table in desk.tables if table.pk in pks]


def _remove(desk: Desk, tables: list[TableMapping]) -> None:
    if not tables:
        raise Refused([Problem("", "Tick the tables to remove.")])
    count = remove(desk, tables)
    messages.success(desk.request, f"Removed {_tables(count)}. Undo brings them back.")


def _apply(desk: Desk, tables: list[TableMapping], given: Given, chosen: list[str]) -> None:
    applied = apply(desk, tables, given, chosen)
    messages.success(desk.request, f"Changed {_tables(applied.changed)}. Undo takes it back.")
    if applied.left:
        rest = f" and {len(applied.left) - NAMED} more" if len(applied.left) > NAMED else ""
        messages.warning(desk.request, f"Left as they were: {', '.join(applied.left[:NAMED])}{rest}.")


def _tables(count: int) -> str:
    return f"{count:,} table{'' if count == 1 else 's'}"
