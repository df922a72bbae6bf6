"""Edits of a draft: saved as they are made, with their author, undone in order, never lost to an older page."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from django.contrib.auth.models import User as Person
from django.db import transaction
from django.db.models import Max

from mappings.models import Edit, Mapping, TableMapping
from mappings.problems import Problem, Refused
from mappings.store import settings_of, state_of

User: TypeAlias = Person | None
Values: TypeAlias = dict[str, Any]

LONGEST_TEXT = 200


class Overtaken(Exception):
    """What is to be changed is no longer what the page showed. by: the edit that changed it, if it is known."""

    def __init__(self, by: Edit | None) -> None:
        self.by = by
        super().__init__("This was changed meanwhile.")


def digest(values: object) -> str:
    """What a page sends back to say which values it showed."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass
class Editing:
    """One edit under way: the mapping's row is locked, so edits come one after another."""

    mapping: Mapping
    changes: list[dict[str, Any]] = field(default_factory=list)

    def table(self, pk: int) -> TableMapping:
        """A table of this mapping; Refused if it is there no more."""
        table = self.mapping.tables.filter(pk=pk).first()
        if table is None:
            raise Refused([Problem("", "This table mapping was removed meanwhile.")])
        return table

    def change(self, table: TableMapping, values: Values) -> None:
        """The table says `values` from now on."""
        if values == table.values:
            return
        _refuse_what_cannot_be_kept(values)
        before = state_of(table)
        table.values, table.version = values, self.mapping.version
        table.save(update_fields=["values", "version"])
        self._note(table.pk, before, state_of(table))

    def add(self, values: Values) -> TableMapping:
        """A new table at the end."""
        _refuse_what_cannot_be_kept(values)
        last = self.mapping.tables.aggregate(last=Max("position"))["last"]
        table = TableMapping.objects.create(
            mapping=self.mapping,
            position=0 if last is None else last + 1,
            values=values,
            version=self.mapping.version,
        )
        self._note(table.pk, None, state_of(table))
        return table

    def remove(self, table: TableMapping) -> None:
        """The table goes."""
        pk, before = table.pk, state_of(table)
        table.delete()
        self._note(pk, before, None)

    def move(self, table: TableMapping, position: int) -> None:
        """The table stands at `position` from now on."""
        if table.position == position:
            return
        before = state_of(table)
        table.position, table.version = position, self.mapping.version
        table.save(update_fields=["position", "version"])
        self._note(table.pk, before, state_of(table))

    def settle(self, values: Values) -> None:
        """The mapping's own settings (name included) are `values` from now on."""
        before = settings_of(self.mapping)
        after = {**before, **values}
        if after == before:
            return
        _refuse_what_cannot_be_kept(values)
        for name, value in after.items():
            setattr(self.mapping, name, value)
        self._note(None, before, after)

    def _note(self, table: int | None, before: Values | None, after: Values | None) -> None:
        self.changes.append({"table": table, "before": before, "after": after})


def _refuse_what_cannot_be_kept(values: Any) -> None:
    """Raises Refused for texts and numbers that neither JSON nor a database has: NUL, half a letter, infinity."""
    if isinstance(values, str) and (
        "\0" in values or any("\ud800" <= letter <= "\udfff" for letter in values)
    ):
        raise Refused([Problem("", "A text may hold no NUL character, and no half of a character.")])
    if isinstance(values, float) and not math.isfinite(values):
        raise Refused([Problem("", "A number may not be infinite, or not a number.")])
    if isinstance(values, dict):
        values = [*values, *values.values()]
    for value in values if isinstance(values, list | tuple) else ():
        _refuse_what_cannot_be_kept(value)


@contextmanager
def editing(pk: int, author: User, text: str) -> Iterator[Editing]:
    """Edits the draft of the mapping and remembers it in one transaction; an edit that changes nothing is none."""
    with transaction.atomic():
        mapping = Mapping.objects.select_for_update().get(pk=pk)
        mapping.version += 1
        edit = Editing(mapping)
        yield edit
        if not edit.changes:
            return
        mapping.save()
        mapping.edits.filter(undone=True).delete()
        Edit.objects.create(
            mapping=mapping,
            version=mapping.version,
            author=author,
            text=text[:LONGEST_TEXT],
            changes=edit.changes,
        )


def last_edit(mapping: Mapping) -> Edit | None:
    """The edit that Undo would take back."""
    return mapping.edits.filter(undone=False).select_related("author").last()


def next_redo(mapping: Mapping) -> Edit | None:
    """The edit that Redo would bring back."""
    return mapping.edits.filter(undone=True).select_related("author").first()


def undo(pk: int, shown: int | None = None) -> Edit | None:
    """Takes the last edit back; None where there is none. shown: the one that the page meant; Overtaken by another."""
    return _replay(pk, last_edit, shown, backwards=True)


def redo(pk: int, shown: int | None = None) -> Edit | None:
    """Brings the edit back that was undone last. shown: as in undo."""
    return _replay(pk, next_redo, shown, backwards=False)


@transaction.atomic
def _replay(pk: int, choose: Any, shown: int | None, backwards: bool) -> Edit | None:
    mapping = Mapping.objects.select_for_update().get(pk=pk)
    edit: Edit | None = choose(mapping)
    if shown is not None and (edit is None or edit.pk != shown):
        raise Overtaken(last_edit(mapping))
    if edit is None:
        return None
    mapping.version += 1
    changes = reversed(edit.changes) if backwards else edit.changes
    for change in changes:
        old, new = ("after", "before") if backwards else ("before", "after")
        if change["table"] is None:
            _refuse_unless(settings_of(mapping) == change[old])
            for name, value in change[new].items():
                setattr(mapping, name, value)
        else:
            _put(mapping, change["table"], change[old], change[new])
    mapping.save()
    edit.undone = backwards
    edit.save(update_fields=["undone"])
    return edit


def _put(mapping: Mapping, pk: int, old: Values | None, new: Values | None) -> None:
    """One table as it was; Refused where it is not what the edit left, so that nobody's newer work goes with it."""
    table = mapping.tables.filter(pk=pk).first()
    _refuse_unless((state_of(table) if table else None) == old)
    if new is None:
        assert table is not None
        table.delete()
        return
    if table is None:
        table = TableMapping(pk=pk, mapping=mapping)
    table.position, table.values, table.version = new["position"], new["values"], mapping.version
    table.save()


def _refuse_unless(as_left: bool) -> None:
    if not as_left:
        text = "The draft was changed past its edits since; what came before is in the revisions."
        raise Refused([Problem("", text)])


def changed_by_others(mapping: Mapping, table: int, since: int, author: User) -> Edit | None:
    """The latest edit of a table that somebody else made after a version of the mapping."""
    touching = mapping.edits.filter(changes__contains=[{"table": table}], undone=False, version__gt=since)
    return touching.exclude(author=author).select_related("author").last()


def who_changed(mapping: Mapping, table: int) -> Edit | None:
    """The latest edit of a table."""
    touching = mapping.edits.filter(changes__contains=[{"table": table}], undone=False)
    return touching.select_related("author").last()


def who_settled(mapping: Mapping, names: Sequence[str]) -> Edit | None:
    """The latest edit of any of these of the mapping's own settings."""
    edits = mapping.edits.filter(changes__contains=[{"table": None}], undone=False).select_related("author")
    return next((edit for edit in edits.order_by("-version") if _settles(edit, names)), None)


def _settles(edit: Edit, names: Sequence[str]) -> bool:
    changes = [change for change in edit.changes if change["table"] is None]
    return any(
        change["before"].get(name) != change["after"].get(name) for change in changes for name in names
    )
