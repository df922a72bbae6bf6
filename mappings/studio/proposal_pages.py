"""Proposals on the page: shown beside the columns that nobody filled, taken one by one or all that are sure."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect

from mappings.studio import edits as change
from mappings.studio.draft import digest
from mappings.studio.frame import Desk, edits, looks, values_of_form
from mappings.studio.pages import saved, whole
from mappings.studio.proposals import proposals, take_sure, turn_down


@looks
def proposed(desk: Desk) -> HttpResponse:
    """What might fill the columns that are not filled yet."""
    table = desk.opened()
    result = [(digest(one.column), one) for one in proposals(desk, [table]).get(table.pk, ())]
    return desk.render("proposals", proposals=result, sure=sum(one.sure for _, one in result))


@edits
def match(desk: Desk) -> HttpResponse:
    """Takes every proposal that is sure."""
    count = take_sure(desk, [desk.opened()])
    if not desk.is_partial:
        messages.info(desk.request, f"{count} columns are filled with what is surely right.")
        return redirect(desk.url(table=desk.opened().pk))
    return whole(desk)


@edits
def take(desk: Desk) -> HttpResponse:
    """Takes one proposal, as it is now."""
    table, name = desk.opened(), values_of_form(desk).get("column", "")
    chosen = [one for one in proposals(desk, [table]).get(table.pk, ()) if one.column == name]
    for one in chosen:
        change.fill(desk.mapping.pk, table.pk, name, one.filling, digest(None), desk.user)
    return saved(desk, name)


@edits
def not_this(desk: Desk) -> HttpResponse:
    """Turns one proposal down."""
    name = values_of_form(desk).get("column", "")
    turn_down(desk, desk.opened(), name)
    return saved(desk, name)
