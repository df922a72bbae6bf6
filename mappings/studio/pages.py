"""The pages of one table in the studio: its columns, their editing, its real rows, and the other questions about it."""

from __future__ import annotations

import psycopg
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect

from mappings.catalog.describe import complaint
from mappings.compiling.columns import Compiler
from mappings.compiling.names.resolve import resolve
from mappings.connections.unreachable import DatabaseUnreachable
from mappings.expressions.parser import ExpressionError, parse_expression
from mappings.models import Mapping
from mappings.problems import Refused
from mappings.studio import edits as change
from mappings.studio.column_form import (
    constant_text,
    filling_of,
    more_text,
    named_columns,
    source_names,
    taken_fields,
)
from mappings.studio.completion import completions
from mappings.studio.draft import Overtaken
from mappings.studio.frame import Desk, edits, looks, meanwhile, values_of_form
from mappings.studio.left_list import entries, entry, names_alone
from mappings.studio.live import Live, LiveSide
from mappings.studio.looking.followed import followed, told
from mappings.studio.looking.real_rows import PAGE, Filter, RealRow, real_rows, shortened, shown_values
from mappings.studio.looking.sound import sound_part
from mappings.studio.questions import effects
from mappings.studio.sessions import both_sides
from mappings.studio.settings_form import settings_of_form, shown_settings
from mappings.web.first_steps import first_steps
from mappings.web.numbers import whole_number

FILTERS: tuple[Filter, ...] = ("", "null", "longest", "fails")
MOST_PAGES = 10**9

FILTER_WORDS = (
    ("null", "those where it becomes NULL"),
    ("longest", "the longest first"),
    ("fails", "those that fail"),
)


def studio(desk: Desk, **more: object) -> HttpResponse:
    """The whole page: the tables, and the one that is open. Of many the names come first, and then what they hold.

    more: what else its templates show.
    """
    wanted = desk.request.GET.get("table", "")
    if desk.table is None and desk.tables:
        chosen = [table for table in desk.tables if str(table.pk) == wanted]
        desk.table = (chosen or desk.tables)[0]
    if "now" not in desk.request.GET and desk.is_awaited:
        query = {**desk.request.GET.dict(), "now": "1"}
        unread = Live(desk.environment, LiveSide(), LiveSide())
        return desk.render("studio", live=unread, now=desk.url(**query), entries=names_alone(desk))
    listed = entries(desk)
    complete = bool(listed) and all(entry.state == "complete" for entry in listed)
    steps = () if desk.latest else first_steps(desk.request.user, desk.mapping, complete)
    return desk.render("studio", **table_context(desk), entries=listed, steps=steps, **more)


def table_context(desk: Desk) -> dict[str, object]:
    """What the middle and the right of the page show; nothing without a table."""
    if desk.table is None:
        return {}
    look = desk.look()
    editing = look.column(desk.request.GET.get("column", ""))
    return {
        "look": look,
        "editing": editing,
        "form": column_form(desk, editing.name) if editing and desk.may_change else None,
        "settings": shown_settings(desk.table),
        "asked": desk.request.GET.get("question", ""),
        "sources": named_columns(desk.table.values, desk.live),
    }


@looks
def panel(desk: Desk) -> HttpResponse:
    """One table, opened by its link in the list."""
    if not desk.is_partial:
        return redirect(desk.url(table=desk.opened().pk))
    return desk.render("opened", **table_context(desk), entries=entry(desk))


@looks
def effect(desk: Desk) -> HttpResponse:
    """What the answers about the table come to, counted."""
    return desk.render("effects", effects=effects(desk.mapping, desk.opened(), desk.live))


def column_form(desk: Desk, name: str) -> dict[str, object]:
    """The fields of one column's editor, as the draft has them."""
    table = desk.opened()
    filling = change.column_of(table.values, name) or {}
    ref = filling.get("ref") or {}
    ref = {"table": ref} if isinstance(ref, str) else ref
    ref = ref if isinstance(ref, dict) and "of" not in ref else {}
    return {
        "more": more_text(filling),
        "taken": taken_fields(filling),
        "lookup": filling.get("lookup", {}),
        "ref_table": ref.get("table", ""),
        "ref_column": ref.get("column", ""),
        "missing": filling.get("missing", ""),
        "value": constant_text(filling["value"]) if "value" in filling else "",
        "parents": desk.table_names,
        "source_tables": [result.sql for result in desk.live.source.tables],
    }


@looks
def column_editor(desk: Desk) -> HttpResponse:
    """One column's row, opened for all ways in which it can be filled."""
    name = desk.request.GET.get("column", "")
    if not desk.is_partial:
        return redirect(desk.url(table=desk.opened().pk, column=name))
    look = desk.look()
    row = look.column(name)
    opened = row if "close" not in desk.request.GET else None
    form = column_form(desk, name) if opened else None
    return desk.render("column_rows", look=look, row=row, editing=opened, form=form)


@edits
def fill(desk: Desk) -> HttpResponse:
    """Fills a target column as typed, and answers with its row as it is now."""
    given, table = values_of_form(desk), desk.opened()
    name = given.get("column", "")
    current = change.column_of(table.values, name)
    filling = filling_of(given, current, source_names(table.values, desk.live))
    try:
        change.fill(desk.mapping.pk, table.pk, name, filling, given.get("was"), desk.user)
    except Overtaken as overtaken:
        return _conflict(desk, name, given, meanwhile(overtaken))
    return saved(desk, name)


def _conflict(desk: Desk, name: str, given: object, sentence: str) -> HttpResponse:
    """What was typed stays in its input, above what stands there now; saving again is then meant."""
    desk.table = desk.mapping.tables.get(pk=desk.opened().pk)
    look = desk.look()
    row = look.column(name)
    return desk.render("column_rows", look=look, row=row, typed=given, conflict=sentence)


def saved(desk: Desk, name: str = "") -> HttpResponse:
    """The page as it is after an edit: the row alone where a script asked, else all of it."""
    pk = desk.opened().pk
    if not desk.is_partial:
        return redirect(desk.url(table=pk))
    desk.mapping = Mapping.objects.get(pk=desk.mapping.pk)
    desk.table = desk.mapping.tables.get(pk=pk)
    look = desk.look()
    return desk.render("column_rows", look=look, row=look.column(name), entry=entry(desk), saved=True)


@edits
def settings(desk: Desk) -> HttpResponse:
    """Answers one of the other questions: where, key, existing, link and their kind."""
    given, table = values_of_form(desk), desk.opened()
    answers = settings_of_form(given, table)
    was = given.get("was")
    change.change_table(desk.mapping.pk, table.pk, answers, was, desk.user)
    return whole(desk)


def whole(desk: Desk) -> HttpResponse:
    """The open table as it is after an edit that may touch all of it."""
    pk = desk.opened().pk
    if not desk.is_partial:
        return redirect(desk.url(table=pk))
    desk.mapping = Mapping.objects.get(pk=desk.mapping.pk)
    desk.table = desk.mapping.tables.get(pk=pk)
    return desk.render("opened", **table_context(desk), entries=entry(desk))


@edits
def remove(desk: Desk) -> HttpResponse:
    """Takes the table out of the mapping."""
    since = whole_number(desk.request.POST.get("version", ""))
    change.remove_table(desk.mapping.pk, desk.opened().pk, since, desk.user)
    return redirect(desk.url())


@looks
def check(desk: Desk) -> HttpResponse:
    """What is wrong with an expression that is being typed, or what it gives for the rows in view."""
    text, table = desk.request.GET.get("text", "").strip(), desk.opened()
    name = desk.request.GET.get("column", "")
    if not text or text in source_names(table.values, desk.live):
        return HttpResponse("")
    try:
        parse_expression(text)
    except ExpressionError as error:
        return desk.render(
            "check", problem=str(error), before=text[: error.position], after=text[error.position :]
        )
    filling = filling_of({"text": text}, None, source_names(table.values, desk.live))
    table.values = change.with_column(table.values, name, filling)
    return desk.render("check", row=desk.look().column(name))


@looks
def completion(desk: Desk) -> JsonResponse:
    """What the expressions of this table may be completed with."""
    table = desk.opened()
    columns = named_columns(table.values, desk.live)
    return JsonResponse(completions(desk.live.environment, columns, desk.mapping.params))


@looks
def rows(desk: Desk) -> HttpResponse:
    """Ten real rows, source beside result; the next ten; those where a column is NULL, longest, or fails."""
    query = desk.request.GET
    page = min(whole_number(query.get("page", "")) or 0, MOST_PAGES)
    column = query.get("column", "")
    chosen: Filter = next((one for one in FILTERS if one == query.get("filter", "")), "")
    result, names, problem = _real_rows(desk, page, column, chosen)
    context = {"rows": result, "names": names, "problem": problem, "page": page, "column": column}
    more = {
        "filter": chosen,
        "filters": FILTER_WORDS,
        "previous": page - 1,
        "next": page + 1 if len(result) == PAGE else None,
        "first": page * PAGE + 1,
        "last": page * PAGE + len(result),
    }
    template = "rows" if desk.is_partial else "rows_page"
    return desk.render(template, **context, **more)


def _real_rows(desk: Desk, page: int, column: str, chosen: Filter) -> tuple[list[RealRow], list[str], str]:
    """(rows, the columns that they show, why there are none)."""
    sound = sound_part(desk.mapping, desk.opened())
    if sound.spec is None or desk.live.environment is None:
        return [], [], "Name the source and the target first."
    try:
        with both_sides(desk.live.environment) as databases:
            resolved = {table.spec.name: table for table in resolve(sound.spec, databases, [])}
            opened = resolved.get(sound.spec.tables[0].name)
            if opened is None:
                return [], [], "The source or the target is not there."
            compiler = Compiler(opened, databases, [])
            follow = followed(compiler, resolved, sound.spec.on_error)
            values = [*shown_values(compiler), *follow.values]
            names = [value.target for value in values]
            rows = real_rows(compiler, values, PAGE, page * PAGE, column, chosen)
            return shortened(told(follow, names, rows, compiler)), names, ""
    except psycopg.errors.QueryCanceled:
        return [], [], "Reading these rows takes longer than anybody should wait."
    except psycopg.Error as error:
        return [], [], complaint(error)
    except (DatabaseUnreachable, Refused) as error:
        return [], [], str(error)
