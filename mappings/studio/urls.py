"""The addresses of the studio, below the admin's page of a mapping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from django.urls import URLPattern, path

from mappings.studio import mapping_pages, pages, proposal_pages, several_pages

ADDRESSES: tuple[tuple[str, Callable[..., HttpResponse], str], ...] = (
    ("<int:pk>/news/", mapping_pages.news, "studio-news"),
    ("<int:pk>/add/", mapping_pages.add, "studio-add"),
    ("<int:pk>/add/ticked/", mapping_pages.add_ticked, "studio-add-ticked"),
    ("<int:pk>/several/", several_pages.several, "studio-several"),
    ("<int:pk>/several/change/", several_pages.change, "studio-several-change"),
    ("<int:pk>/order/", mapping_pages.order, "studio-order"),
    ("<int:pk>/undo/", mapping_pages.undo, "studio-undo"),
    ("<int:pk>/redo/", mapping_pages.redo, "studio-redo"),
    ("<int:pk>/environment/", mapping_pages.environment, "studio-environment"),
    ("<int:pk>/settings/", mapping_pages.settings, "studio-settings"),
    ("<int:pk>/text/", mapping_pages.text, "studio-text"),
    ("<int:pk>/text/save/", mapping_pages.save_text, "studio-save-text"),
    ("<int:pk>/save/", mapping_pages.save, "studio-save"),
    ("<int:pk>/review/", mapping_pages.review, "studio-review"),
    ("<int:pk>/duplicate/", mapping_pages.duplicate, "studio-duplicate"),
    ("<int:pk>/restore/", mapping_pages.restore, "studio-restore"),
    ("<int:pk>/file/", mapping_pages.file, "mappings_mapping_file"),
    ("<int:pk>/tables/<int:table>/", pages.panel, "studio-table"),
    ("<int:pk>/tables/<int:table>/effects/", pages.effect, "studio-effects"),
    ("<int:pk>/tables/<int:table>/column/", pages.column_editor, "studio-column"),
    ("<int:pk>/tables/<int:table>/fill/", pages.fill, "studio-fill"),
    ("<int:pk>/tables/<int:table>/answer/", pages.settings, "studio-answer"),
    ("<int:pk>/tables/<int:table>/remove/", pages.remove, "studio-remove"),
    ("<int:pk>/tables/<int:table>/check/", pages.check, "studio-check"),
    ("<int:pk>/tables/<int:table>/completion/", pages.completion, "studio-completion"),
    ("<int:pk>/tables/<int:table>/proposed/", proposal_pages.proposed, "studio-proposed"),
    ("<int:pk>/tables/<int:table>/match/", proposal_pages.match, "studio-match"),
    ("<int:pk>/tables/<int:table>/take/", proposal_pages.take, "studio-take"),
    ("<int:pk>/tables/<int:table>/not-this/", proposal_pages.not_this, "studio-not-this"),
    ("<int:pk>/tables/<int:table>/rows/", pages.rows, "studio-rows"),
)


def patterns(wrap: Callable[[Any], Any]) -> list[URLPattern]:
    """Every address, each view inside `wrap`, which asks for a signed-in member of staff."""
    return [path(route, wrap(view), name=name) for route, view, name in ADDRESSES]
