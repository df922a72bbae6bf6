"""How heavy a schema change is: what PostgreSQL reads or rewrites for it, who waits meanwhile, and for how long.

The rules were measured on PostgreSQL 16 and 18 (tests/planning/test_heaviness.py looks at the files on disk).
"""

from __future__ import annotations

import re

from mappings.catalog import tables
from mappings.catalog.dependents import Dependent
from mappings.plan.schema_steps import Affected, Heaviness, Weight

REWRITE_BYTES = 40e6
INDEX_BYTES = 20e6
SCAN_BYTES = 200e6
"""Bytes per second that a server is trusted to rewrite, to build indexes over, and to read; rather too few."""

EVERYBODY, WRITERS, NOBODY = "readers and writers wait", "writers wait, readers go on", "nobody waits"

ALIKE = {"varchar": "character varying", "character": "bpchar", "timestamp": "timestamp without time zone"}
TEXTS = ("character varying", "text")
TIMES = ("time", "interval")


def of_type_change(old: str, new: str, utc: bool = True) -> Weight:
    """What a change of type does to the table itself: 'catalog only', 'index build' or 'full rewrite'.

    old, new: as format_type prints them; utc: whether the session's time zone is UTC. With 'index build' the
    table stays as it is, and indexes over the column are built anew.
    """
    (base, size), (new_base, new_size) = _parts(old), _parts(new)
    if base.startswith("interval ") and new_base == "interval":  # whose fields are all there are
        base = new_base
    if base in TEXTS and new_base in TEXTS:
        return "catalog only" if not new_size or (size and new_size >= size) else "full rewrite"
    if (base, new_base) == ("cidr", "inet"):
        return "catalog only"
    if utc and {base, new_base} == {"timestamp without time zone", "timestamp with time zone"}:
        return "index build" if not size and not new_size else "full rewrite"
    if base != new_base or base.endswith("[]"):
        return "catalog only" if old == new else "full rewrite"
    return "catalog only" if _holds(base, size, new_size) else "full rewrite"


def _holds(base: str, size: tuple[int, ...], new_size: tuple[int, ...]) -> bool:
    """Whether a type takes in its own narrower form as it lies on disk."""
    if size == new_size:
        return True
    if base == "numeric":
        return not new_size or (bool(size) and size[1:] == new_size[1:] and new_size >= size)
    if base == "bit varying" or base.startswith(TIMES):
        return not new_size or (bool(size) and new_size >= size)
    return False


def _parts(type_name: str) -> tuple[str, tuple[int, ...]]:
    """A type without its modifier, and the modifier's numbers."""
    match = re.search(r"\(([0-9, -]+)\)", type_name)
    size = tuple(int(number) for number in match[1].split(",")) if match else ()
    base = type_name.replace(match[0], "") if match else type_name
    return ALIKE.get(base, base), size


def of_widening(
    target: tables.Table, column: tables.Column, new_type: str, rewritten: int
) -> tuple[Weight, Heaviness, tuple[Affected, ...]]:
    """The weight of a wider column, all that hangs on it, and the weight of the way back.

    rewritten: how many times generated columns make the table be written anew besides.
    """
    dependents = [result for result in target.dependents if result.column == column.name]
    weight, seconds, rebuilds = _cost(target, dependents, of_type_change(column.type, new_type), rewritten)
    back, back_seconds, _ = _cost(target, dependents, of_type_change(new_type, column.type), rewritten)
    others = tuple(
        dict.fromkeys(result.other for result in dependents if result.other and result.other != target.sql)
    )
    heaviness = Heaviness(
        waits=EVERYBODY,
        seconds=seconds,
        size=_size(target, dependents, weight),
        rebuilds=rebuilds,
        also_locked=others,
        undo_weight=back,
        undo_seconds=back_seconds,
    )
    other_type = _parts(column.type)[0] != _parts(new_type)[0]
    affected = tuple(
        Affected(result.kind, result.name, result.definition, _fate(result, weight, other_type))
        for result in dependents
    )
    return weight, heaviness, affected


def _cost(
    target: tables.Table, dependents: list[Dependent], weight: Weight, rewritten: int
) -> tuple[Weight, float, tuple[str, ...]]:
    """(weight with what hangs on the column, seconds, indexes that are built anew)."""
    if weight == "full rewrite" or rewritten:
        times = rewritten + (weight == "full rewrite")
        once = target.size / REWRITE_BYTES + target.index_size / INDEX_BYTES
        return "full rewrite", _rounded(times * once), ("all indexes of the table",) if target.indexes else ()
    rebuilt = [
        result
        for result in dependents
        if result.kind == "index" and (result.rebuilt or weight == "index build")
    ]
    checks = sum(result.checked for result in dependents)
    scanned = target.size / SCAN_BYTES * (checks + len(rebuilt))
    seconds = _rounded(scanned + sum(result.size for result in rebuilt) / INDEX_BYTES)
    if rebuilt:
        return "index build", seconds, tuple(dict.fromkeys(result.name for result in rebuilt))
    return ("table scan", seconds, ()) if checks else ("catalog only", 0.0, ())


def _size(target: tables.Table, dependents: list[Dependent], weight: Weight) -> int:
    if weight == "catalog only":
        return 0
    rebuilt = sum(result.size for result in dependents if result.kind == "index" and result.rebuilt)
    return target.size + (target.index_size if weight == "full rewrite" else rebuilt)


def _rounded(seconds: float) -> float:
    """Whole seconds from ten on, tenths below; nobody plans by more."""
    return float(round(seconds)) if seconds >= 10 else round(seconds, 1)


def _fate(dependent: Dependent, weight: Weight, other_type: bool) -> str:
    """What becomes of something that hangs on a column whose type changes."""
    if dependent.kind == "index":
        return (
            "is built anew"
            if weight == "full rewrite" or dependent.rebuilt or other_type
            else "stays as it is"
        )
    if dependent.kind == "check":
        return "is checked again, by a scan" if dependent.checked else "stays as it is"
    if dependent.kind == "foreign key":
        return "is checked again; both tables are locked" if other_type else "stays; both tables are locked"
    fates = {
        "view": "is dropped and made again in the same transaction",
        "generated column": "is taken off and put back in the same transaction",
        "statistics": "stays; filled again by ANALYZE",
    }
    return fates.get(dependent.kind, "stands in the way")


def of_index(target: tables.Table, concurrently: bool) -> Heaviness:
    """A new index: a scan of the table and a sort; built concurrently it takes about twice as long."""
    seconds = target.size / SCAN_BYTES + target.estimate * 30 / INDEX_BYTES
    return Heaviness(
        waits=NOBODY if concurrently else WRITERS,
        seconds=_rounded(seconds * (2 if concurrently else 1)),
        size=target.size,
    )


def of_new_column() -> Heaviness:
    """A column without a default, or with a constant one: a note in the catalog."""
    return Heaviness(waits=EVERYBODY)


def of_backfill(target: tables.Table) -> Heaviness:
    """Every row is written once more, with an entry in each index; all the while others read and write."""
    seconds = 2 * target.size / REWRITE_BYTES + 2 * target.index_size / INDEX_BYTES
    return Heaviness(waits=NOBODY, seconds=_rounded(seconds), size=target.size + target.index_size)


def of_scans(target: tables.Table, scans: int) -> Heaviness:
    """Constraints that are validated, each by a scan, while others read and write."""
    return Heaviness(
        waits=NOBODY, seconds=_rounded(scans * target.size / SCAN_BYTES), size=scans * target.size
    )
