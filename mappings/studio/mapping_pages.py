"""The pages of a whole mapping in the studio: adding and ordering tables, undo, text, revisions, what others do."""

from __future__ import annotations

import json
from collections.abc import Mapping as Mappings
from dataclasses import replace

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models.functions import Now
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from mappings.language.canonical import dump
from mappings.language.file import parse
from mappings.models import Environment, Mapping, Policy, Visit
from mappings.problems import Problem, Refused
from mappings.store import draft_text, freeze, revision_spec, spec_of
from mappings.studio import draft
from mappings.studio import edits as change
from mappings.studio.draft import Overtaken, Values
from mappings.studio.frame import Desk, chooses, edits, looks, meanwhile, studio_url, values_of_form
from mappings.studio.live import choose
from mappings.studio.pages import studio
from mappings.studio.places import places_of
from mappings.studio.proposals import Offer, offers, take_sure, takes_a_while
from mappings.studio.settings_form import listed
from mappings.studio.several import check_patterns, patterned
from mappings.suggesting.draft import key_of
from mappings.web.numbers import whole_number


@looks
def news(desk: Desk) -> HttpResponse:
    """What others changed since the version that the page shows, and who has it open. Asked every few seconds."""
    Visit.objects.update_or_create(mapping=desk.mapping, user=desk.user, defaults={"seen": Now()})
    since = desk.request.GET.get("since", "")
    known = whole_number(since) or 0
    latest = desk.mapping.edits.filter(version__gt=known).exclude(author=desk.user)
    return desk.render(
        "news", latest=latest.select_related("author").last(), others=desk.others_here(), known=known
    )


@chooses
def environment(desk: Desk) -> HttpResponse:
    """The person looks at this mapping in another environment from now on."""
    chosen = get_object_or_404(Environment, name=desk.request.POST.get("env", ""))
    choose(desk.request, desk.mapping, chosen)
    if "adding" in desk.request.POST:
        return redirect("admin:studio-add", desk.mapping.pk)
    return redirect(desk.url(table=desk.request.POST.get("open", "")))


@looks
def add(desk: Desk) -> HttpResponse:
    """The source's tables, each with its likely target, to be ticked. Of many a page says first that it takes time."""
    if "now" not in desk.request.GET and takes_a_while(desk.live):
        return desk.render("add", waiting=True, find=desk.request.GET.get("find", ""))
    targets = [table for table in desk.live.target.tables if table.kind in "rp"]
    query = desk.request.GET
    result, problem = _by_pattern(desk, offers(desk))
    hidden = sum(not offer.table.readable for offer in result)
    shown = {name: query.get(name, "") for name in ("find", "from", "to")}
    return desk.render("add", offers=result, hidden=hidden, targets=targets, problem=problem, **shown)


def _by_pattern(desk: Desk, result: list[Offer]) -> tuple[list[Offer], str]:
    """The offers with the targets that the patterns of the address give, if it has any; what is wrong with them."""
    before, after = (desk.request.GET.get(name, "").strip() for name in ("from", "to"))
    if not after:
        return result, ""
    try:
        check_patterns(before, after)
    except Refused as refused:
        return result, refused.problems[0].text
    named = [(offer, patterned(offer.table.name, before, after, desk.live.target)) for offer in result]
    fitting = [replace(one, target=target, why="by its name") for one, target in named if target]
    rest = [replace(one, target="", why="no table of that name") for one, target in named if not target]
    return [*fitting, *rest], "" if fitting else "No table of the target has such a name."


@edits
def add_ticked(desk: Desk) -> HttpResponse:
    """Adds the tables that were ticked, each to the target chosen for it, with the columns that are surely right."""
    post = desk.request.POST
    pairs = [(source, post.get(f"target-{source}", "").strip()) for source in post.getlist("source")]
    chosen = [(source, target) for source, target in pairs if target]
    if not chosen:
        raise Refused([Problem("", "Tick the source tables to add, and choose the target of each.")])
    tables: list[Values] = [
        {"source": source, "target": target, **_key(desk, source), "columns": []} for source, target in chosen
    ]
    made = change.add_tables(desk.mapping.pk, tables, desk.user)
    desk = Desk(desk.request, desk.mapping)  # with the new tables, which references may point to
    filled = take_sure(desk, made)
    told = f"Added {len(made)} table{'s' if len(made) > 1 else ''}"
    messages.success(desk.request, f"{told}; {filled} columns are filled with what is surely right.")
    return redirect(desk.url(table=made[0].pk))


def _key(desk: Desk, source: str) -> Values:
    """What tells the rows of a table apart that has no primary key, as the draft has it."""
    table = desk.live.source.find(source)
    key, by_content = key_of(table) if table else (None, False)
    return {"key": "content" if by_content else list(key or ())} if key or by_content else {}


@edits
def order(desk: Desk) -> HttpResponse:
    """The tables in the order posted: `table` once for each."""
    numbers = [pk for pk in map(whole_number, desk.request.POST.getlist("table")) if pk is not None]
    change.order_tables(desk.mapping.pk, numbers, desk.user)
    return redirect(desk.url(table=desk.request.POST.get("open", "")))


@edits
def undo(desk: Desk) -> HttpResponse:
    """Takes the last edit back."""
    edit = draft.undo(desk.mapping.pk, whole_number(desk.request.POST.get("edit", "")))
    messages.info(desk.request, f"Undone: {edit.text}." if edit else "There is nothing to undo.")
    return redirect(desk.url(table=desk.request.POST.get("open", "")))


@edits
def redo(desk: Desk) -> HttpResponse:
    """Brings back what was undone last."""
    edit = draft.redo(desk.mapping.pk, whole_number(desk.request.POST.get("edit", "")))
    messages.info(desk.request, f"Done again: {edit.text}." if edit else "There is nothing to do again.")
    return redirect(desk.url(table=desk.request.POST.get("open", "")))


@edits
def settings(desk: Desk) -> HttpResponse:
    """The mapping's own settings: what it is called, and what becomes of rows that do not fit."""
    given = values_of_form(desk)
    limit = whole_number(given.get("max_quarantined", ""))
    if limit is None or given.get("on_error") not in Policy.values:
        raise Refused([Problem("max_quarantined", "Must be a whole number, 0 or more.")])
    values: Values = {
        "name": given.get("name", "").strip(),
        "description": given.get("description", ""),
        "widen": bool(given.get("widen")),
        "on_error": given["on_error"],
        "max_quarantined": limit,
        "params": listed(given["params"]) if "params" in given else desk.mapping.params,
    }
    _check_name(desk.mapping, values)
    try:
        change.change_settings(desk.mapping.pk, values, _shown(given), desk.user)
    except Overtaken as overtaken:
        desk.mapping.refresh_from_db()
        return studio(desk, typed=values, settings_conflict=meanwhile(overtaken))
    return redirect(desk.url(table=given.get("open", "")))


def _shown(given: Mappings[str, str]) -> Values | None:
    """The settings as the page had them; None where it does not say."""
    try:
        shown = json.loads(given.get("shown", ""))
    except ValueError:
        return None
    return shown if isinstance(shown, dict) else None


def _check_name(mapping: Mapping, values: Values) -> None:
    """Refuses settings that the mapping could not be saved with."""
    tried = Mapping(pk=mapping.pk, **values)
    tried._state.adding = False  # it is there already, under its own name
    try:
        tried.full_clean()
    except ValidationError as error:
        result = [Problem(field, text) for field, texts in error.message_dict.items() for text in texts]
        raise Refused(result) from None


@looks
def text(desk: Desk) -> HttpResponse:
    """The draft as a mapping file, to be edited as text."""
    return desk.render("text", text=draft_text(desk.mapping), problems=(), version=desk.mapping.version)


@edits
def save_text(desk: Desk) -> HttpResponse:
    """The draft says what the text says; with anything wrong in it nothing is changed and nothing typed is lost."""
    typed, version = desk.request.POST.get("text", ""), desk.request.POST.get("version", "")
    try:
        spec = parse(typed)
    except Refused as refused:
        return desk.render("text", text=typed, problems=refused.problems, version=version)
    known = whole_number(version)
    try:
        change.replace_all(desk.mapping.pk, spec, known, desk.user, "Changed the text")
    except Overtaken as overtaken:  # saving again is then meant
        desk.mapping.refresh_from_db()
        context = {"text": typed, "problems": (), "conflict": meanwhile(overtaken)}
        return desk.render("text", **context, version=desk.mapping.version)
    messages.success(desk.request, "The draft says what the text says.")
    return redirect(desk.url())


@edits
def save(desk: Desk) -> HttpResponse:
    """Freezes the draft as a revision, with a note; where it is not whole yet, says everything that is missing."""
    note = desk.request.POST.get("note", "").strip()
    before = desk.mapping.latest_revision
    try:
        revision = freeze(desk.mapping, desk.user, note)
    except Refused as refused:
        return desk.render("not_whole", problems=located(desk, refused))
    if before and revision == before:
        messages.info(
            desk.request, f"The draft says what revision {revision.number} says: there is none new."
        )
    else:
        messages.success(desk.request, f"Revision {revision.number} of {desk.mapping} is saved.")
    return redirect(desk.url(table=desk.request.POST.get("open", "")))


@edits
def review(desk: Desk) -> HttpResponse:
    """Freezes the draft where it says something new, and goes on to the review of that revision."""
    try:
        freeze(desk.mapping, desk.user)
    except Refused as refused:
        return desk.render("not_whole", problems=located(desk, refused))
    looked_at = desk.live.environment
    query = {"env": looked_at.name} if looked_at and len(desk.environments) > 1 else None
    return redirect(reverse("jobs:review", args=[desk.mapping.name], query=query))


def located(desk: Desk, refused: Refused) -> list[tuple[str, str]]:
    """(where to mend it, the sentence) of each problem: paths of the file lead to their table and column."""
    place = places_of(desk.mapping)
    return [(place(problem.path), str(problem)) for problem in refused.problems]


@edits
def duplicate(desk: Desk) -> HttpResponse:
    """Another mapping that says the same, under a name of its own."""
    name = desk.request.POST.get("name", "").strip()
    try:
        copy = change.duplicate(desk.mapping, name, desk.user)
    except ValidationError as error:
        raise Refused([Problem("name", text) for text in error.messages]) from None
    messages.success(desk.request, f"{copy} says what {desk.mapping} says.")
    return redirect(studio_url(copy.pk))


@edits
def restore(desk: Desk) -> HttpResponse:
    """An old revision as the draft; what the draft said before can be had back by Undo."""
    number = desk.request.POST.get("number", "")
    revision = get_object_or_404(desk.mapping.revisions, number=whole_number(number) or 0)
    spec = revision_spec(revision)
    change.replace_all(desk.mapping.pk, spec, None, desk.user, f"Restored revision {revision.number}")
    messages.success(desk.request, f"The draft says what revision {revision.number} says.")
    return redirect(desk.url())


@looks
def file(desk: Desk) -> HttpResponse:
    """The mapping as a file to keep; a draft that is no whole mapping says what is missing."""
    try:
        content = dump(spec_of(desk.mapping))
    except Refused as refused:
        return desk.render("not_whole", problems=located(desk, refused))
    response = HttpResponse(content, content_type="application/yaml; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{desk.mapping.name}.yml"'
    return response
