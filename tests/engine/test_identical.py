"""Compared by binary images: a change of any kind of value is found, also one that its type calls equal."""

from __future__ import annotations

from dataclasses import replace

from jobs.engine.moving import compare
from jobs.engine.moving.compare import Compared, Keeping
from tests.engine.rig import WHOLE, Rig
from tests.language.test_types import TYPES, VALUES, lit

EQUAL = {
    "n": ("1.1000", "1.1"),
    "n2": None,  # rounded to its scale: equal ones are identical
    "f4": ("0", "-0"),
    "f8": ("-0", "0"),
    "t": ("a", "a "),
    "iv": ("1 mon", "30 days"),
    "js": ('{"b" : 1}', '{"b": 1}'),
    "jb": ('{"a": 1.00}', '{"a": 1.0}'),
    "po": ("(0,1)", "(-0,1)"),
    "bx": ("(2,2),(0,0)", "(4,1),(0,0)"),
    "pg": ("((0,0),(1,1),(2,0))", "((1,1),(2,0),(0,0))"),
    "ln": ("{1,-1,0}", "{1,-1,-0}"),
    "cr": ("<(0,0),1.5>", "<(-0,0),1.5>"),
    "rn": ("(1.10,)", "(1.1,)"),
    "aj": ('{"1.0"}', '{"1.00"}'),
    "ap": ('{"(0,2)"}', '{"(-0,2)"}'),
    "ar": ("{1.10,NaN}", "{1.1,NaN}"),
    "cj": ('("(0,2)",,)', '("(-0,2)",,)'),
    "dj": ('{"a" : 1}', '{"a": 1}'),
    "er": ("[0,2.5)", "[-0,2.5)"),
    "bp": ("a", "a "),
    "tn": ("", None),
}
"""Values that are equal, or read alike, and are not identical, of the types that have such."""

CALLED_EQUAL = ("n", "f4", "f8", "iv", "jb", "rn", "aj", "ar", "bp")
"""Those of them that the types' own equality does not tell apart."""

MORE = {"bp": ("bpchar", "x", "y"), "tn": ("text", "", "x")}


def kept(rig: Rig, identical: bool = True) -> tuple[Compared, list[tuple[object, ...]]]:
    """What comparing finds, and (source key, column) of what is kept of it."""
    work = replace(rig.work(), identical=identical)
    rig.target.execute("DELETE FROM migrator.difference")
    found = compare.compare_chunk(work, WHOLE, Keeping(rig.ticket(work, "verify"), 1, 10_000))
    rows = rig.target.execute(
        "SELECT source_key, column_name FROM migrator.difference ORDER BY id"
    ).fetchall()
    return found, rows


def test_each_seeded_mutation_of_every_type_is_found_and_nothing_else(rig: Rig) -> None:
    kinds = VALUES | MORE
    columns = ", ".join(f"{name} {kind}" for name, (kind, _, _) in kinds.items())
    pairs = {name: EQUAL.get(name) or values[1:] for name, values in kinds.items()}
    first = ", ".join("NULL" if one is None else lit(one) for one, _ in pairs.values())
    rows = f"INSERT INTO item SELECT i, {first} FROM generate_series(1, {len(kinds)}) i"
    others = ", ".join(lit(values[2]) for values in kinds.values())
    rig.old(
        TYPES % "'sad', 'very happy'"
        + f"CREATE TABLE item (id numeric PRIMARY KEY, {columns}); {rows};"
        + f"INSERT INTO item VALUES (900, {others}); INSERT INTO item (id) VALUES (901.0)"
    )
    rig.new(TYPES % "'very happy', 'sad', 'new'" + f"CREATE TABLE item (nr serial PRIMARY KEY, {columns})")
    names = ", ".join(f"{name}: {name}" for name in kinds)
    rig.ready(f"{{source: old.item, target: new.item, key: [id], columns: {{{names}}}}}")
    rig.copy()
    assert kept(rig)[1] == []
    for number, (name, (_, other)) in enumerate(pairs.items(), start=1):
        value = "NULL" if other is None else lit(other)
        rig.new(f"UPDATE item SET {name} = {value} WHERE source_table_id = {number}")
    rig.new("UPDATE item SET source_table_id = 901.00 WHERE source_table_id = 901")
    found, wrong = kept(rig)
    seeded = [(str(number), name) for number, name in enumerate(pairs, start=1)]
    assert sorted(wrong, key=str) == sorted([*seeded, ("901", "source_table_id")], key=str)
    assert (found.missing, found.extra, found.different) == (0, 0, len(kinds) + 1)
    missed = set(pairs) - {name for _, name in kept(rig, identical=False)[1]}
    assert set(CALLED_EQUAL) <= missed <= set(EQUAL)
