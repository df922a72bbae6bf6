"""Keeps mappings: a spec becomes rows and a revision, rows and revisions become a spec again."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.db import transaction

from mappings.language.canonical import canonical, canonical_json, dump, dump_values, from_canonical
from mappings.language.spec import MappingSpec
from mappings.models import Mapping, Revision, TableMapping
from mappings.problems import Problem, Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User

SAME_IN_MAPPING = ("description", "widen", "on_error", "max_quarantined", "params")
"""What stands in a mapping's row and in the file under the same name."""


@transaction.atomic
def save_spec(spec: MappingSpec, author: User | None = None, note: str = "") -> Revision:
    """Makes the stored mapping say what `spec` says; a new revision only if it differs from the latest."""
    mapping, created = Mapping.objects.select_for_update().get_or_create(name=spec.name)
    if not _says(mapping, spec):
        settings, before = settings_of_spec(spec), _states(mapping)
        for name in SAME_IN_MAPPING:
            setattr(mapping, name, settings[name])
        mapping.version += 1
        mapping.save()
        _save_tables(mapping, canonical(spec)["tables"])
        if not created:
            _note_load(mapping, before, author)
    return _add_revision(mapping, spec, author, note)


def settings_of(mapping: Mapping) -> dict[str, Any]:
    """What a mapping says besides its tables."""
    return {"name": mapping.name, **{name: getattr(mapping, name) for name in SAME_IN_MAPPING}}


def state_of(table: TableMapping) -> dict[str, Any]:
    """What an edit remembers of a table."""
    return {"position": table.position, "values": table.values}


def _states(mapping: Mapping) -> dict[int | None, dict[str, Any]]:
    """The draft as edits remember it: each table by its id, and under None the mapping itself."""
    return {None: settings_of(mapping), **{table.pk: state_of(table) for table in mapping.tables.all()}}


def _note_load(mapping: Mapping, before: dict[int | None, dict[str, Any]], author: User | None) -> None:
    """A loaded file is an edit of the draft like any other: pages tell of it, and Undo takes it back."""
    after = _states(mapping)
    changes = [
        {"table": table, "before": before.get(table), "after": after.get(table)}
        for table in {**before, **after}
        if before.get(table) != after.get(table)
    ]
    mapping.edits.filter(undone=True).delete()
    mapping.edits.create(
        version=mapping.version, author=author, text="Loaded a mapping file", changes=changes
    )


def settings_of_spec(spec: MappingSpec) -> dict[str, Any]:
    """What stands in a mapping's row, as JSON has it."""
    result = {name: getattr(spec, name) for name in SAME_IN_MAPPING}
    return {**result, "params": list(spec.params)}


def _save_tables(mapping: Mapping, tables: list[dict[str, Any]]) -> None:
    """The rows of tables that keep their names stay, so that their pages do as well."""
    old = {table.name: table for table in mapping.tables.all()}
    rows = []
    for position, values in enumerate(tables):
        row = TableMapping(mapping=mapping, values=values)
        row = old.pop(row.name, row)
        row.position, row.values, row.version = position, values, mapping.version
        rows.append(row)
    mapping.tables.filter(pk__in=[table.pk for table in old.values()]).delete()
    TableMapping.objects.bulk_update([row for row in rows if row.pk], ["position", "values", "version"])
    TableMapping.objects.bulk_create(row for row in rows if not row.pk)


@transaction.atomic
def freeze(mapping: Mapping, author: User | None = None, note: str = "") -> Revision:
    """The revision of the mapping's rows as they are now; Refused where they are not a whole mapping yet."""
    locked = Mapping.objects.select_for_update().get(pk=mapping.pk)
    return _add_revision(locked, spec_of(locked), author, note)


def spec_of(mapping: Mapping) -> MappingSpec:
    """The spec that the mapping's rows describe; Refused with every problem of a draft."""
    return from_canonical(values_of(mapping))


def revision_spec(revision: Revision) -> MappingSpec:
    """The spec that was frozen; Refused where it is not what was hashed, or not what follows its parent."""
    before = revision.mapping.revisions.filter(number=revision.number - 1)
    refuse_if_altered(revision, before.values_list("sha256", flat=True).first())
    return from_canonical(json.loads(revision.canonical))


def refuse_if_altered(revision: Revision, parent: str | None) -> None:
    """Raises Refused where it is not what was hashed, or not what follows its parent, whose sha256 is given."""
    if hashlib.sha256(revision.canonical.encode()).hexdigest() != revision.sha256:
        raise Refused(
            [Problem("", f"{revision} was altered after it was frozen: its SHA-256 does not match.")]
        )
    if (parent or "") != revision.parent_sha256:
        text = f"{revision} does not follow the one before it, which was altered or taken away."
        raise Refused([Problem("", text)])


def revision_text(revision: Revision) -> str:
    """A revision as a mapping file; as indented JSON where today's rules would no longer accept it."""
    try:
        return dump(from_canonical(json.loads(revision.canonical)))
    except Refused:
        return json.dumps(json.loads(revision.canonical), indent=2, ensure_ascii=False)


def _says(mapping: Mapping, spec: MappingSpec) -> bool:
    """Whether the rows already describe `spec`, so that they (and their addresses in the admin) can stay."""
    try:
        return spec_of(mapping) == spec
    except Refused:
        return False


def _add_revision(mapping: Mapping, spec: MappingSpec, author: User | None, note: str) -> Revision:
    latest = mapping.latest_revision
    text = canonical_json(spec)
    digest = hashlib.sha256(text.encode()).hexdigest()
    if latest is not None and latest.sha256 == digest:
        return latest
    return Revision.objects.create(
        mapping=mapping,
        number=latest.number + 1 if latest else 1,
        canonical=text,
        sha256=digest,
        parent_sha256=latest.sha256 if latest else "",
        author=author,
        note=note,
    )


def values_of(mapping: Mapping) -> dict[str, Any]:
    """The draft as the canonical values of a mapping file, complete or not."""
    settings = {
        name: getattr(mapping, name) for name in SAME_IN_MAPPING if name != "params" or mapping.params
    }
    return {
        "version": 1,
        "name": mapping.name,
        **settings,
        "tables": list(mapping.tables.order_by("position", "pk").values_list("values", flat=True)),
    }


def draft_text(mapping: Mapping) -> str:
    """The mapping file of the draft, whole or not: what is not there yet is missing in the text as well."""
    return _draft_text(mapping.pk, mapping.version, mapping.updated)


@lru_cache(maxsize=4)
def _draft_text(pk: int, _version: int, _updated: datetime) -> str:
    """Kept by what every edit moves on."""
    mapping = Mapping.objects.get(pk=pk)
    try:
        return dump(spec_of(mapping))
    except Refused:
        return dump_values(values_of(mapping))
