"""What the page of a mapping's revisions shows: its history, and two of them side by side."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count

from mappings.language.diff import Row, side_by_side
from mappings.models import Mapping, Revision
from mappings.problems import Refused
from mappings.store import revision_spec, revision_text


@dataclass(frozen=True, slots=True)
class RevisionsPage:
    """revisions: newest first, with `run_count`. old, new: the two that are compared, None before there are two.

    problems: what is wrong with either of them, if somebody changed it past the application.
    """

    revisions: tuple[Revision, ...]
    old: Revision | None
    new: Revision | None
    rows: tuple[Row, ...]
    problems: tuple[str, ...]


def revisions_page(mapping: Mapping, asked_old: str = "", asked_new: str = "") -> RevisionsPage:
    """The revisions of the numbers asked for, else the newest and the one before that or before `asked_new`."""
    counted = mapping.revisions.select_related("author").annotate(run_count=Count("runs"))
    revisions = tuple(counted.order_by("-number"))
    by_number = {str(revision.number): revision for revision in revisions}
    new = by_number.get(asked_new) or next(iter(revisions), None)
    old = by_number.get(asked_old) or (by_number.get(str(new.number - 1)) if new else None)
    if old is None or new is None:
        return RevisionsPage(revisions, None, new, (), ())
    problems = tuple(text for revision in {old, new} for text in _problems(revision))
    return RevisionsPage(revisions, old, new, side_by_side(revision_text(old), revision_text(new)), problems)


def _problems(revision: Revision) -> tuple[str, ...]:
    try:
        revision_spec(revision)
    except Refused as refused:
        return tuple(str(problem) for problem in refused.problems)
    return ()
