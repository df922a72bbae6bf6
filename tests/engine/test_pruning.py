"""Rows that have no parent after all: listed by the links, taken back in one transaction, generation by generation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.engine.errors import Fenced, TooManyQuarantined
from jobs.engine.moving import prune_orphans
from jobs.engine.target import ledger
from jobs.engine.target.ledger import Done, Ticket
from tests.engine.rig import Rig

TABLES = """
{source: old.node, target: new.node, columns: {name: name, up: {from: up, ref: node}}}
{source: old.leaf, target: new.leaf, link: {map: false}, columns: {node: {from: node, ref: node}}}
"""
QUARANTINE = "on_error: quarantine"


def forest(rig: Rig, bad: str, options: str = QUARANTINE) -> None:
    """A chain of 50 nodes, each below the next lower one, with a leaf on each; copied and linked."""
    rig.old(
        "CREATE TABLE node (id int PRIMARY KEY, name text, up int); CREATE TABLE leaf (id int PRIMARY KEY, node int);"
        "INSERT INTO node SELECT n, 'n' || n, nullif(n - 1, 0) FROM generate_series(1, 50) n;"
        f"INSERT INTO leaf SELECT id, id FROM node; UPDATE node SET {bad}"
    )
    rig.new(
        "CREATE TABLE node (id serial PRIMARY KEY, name text CHECK (name <> 'BAD'), up int REFERENCES node);"
        "CREATE TABLE leaf (id serial PRIMARY KEY, node int NOT NULL REFERENCES node)"
    )
    rig.ready(TABLES, options)
    for name in ("node", "leaf"):
        rig.copy(rig.work(name))
    for chunk in rig.cut(10, rig.work("node")):
        rig.link(rig.work("node"), chunk)


def prune(rig: Rig, ticket: Ticket | None = None) -> dict[str, Done]:
    works = {table.name: rig.work(table.name) for table in rig.plan.moved}
    return prune_orphans.prune_chunk(works, ticket or rig.ticket(works["node"], "prune"))


def test_nothing_is_listed_where_every_parent_is_found(rig: Rig) -> None:
    forest(rig, "name = 'n0' WHERE id = 5")
    assert ledger.left_unlinked(rig.target, 1) == {}
    assert rig.new("SELECT count(up) FROM node") == [(49,)]


def test_every_generation_goes_and_what_was_copied_below_it(rig: Rig) -> None:
    forest(rig, "name = 'BAD' WHERE id = 11")
    assert ledger.left_unlinked(rig.target, 1) == {"node": ["12"]}
    assert prune(rig) == {
        "node": Done(inserted=-39, quarantined=39),
        "leaf": Done(inserted=-39, quarantined=39),
    }
    assert rig.new("SELECT count(*), count(up), (SELECT count(*) FROM leaf) FROM node") == [(10, 9, 10)]
    assert rig.new("SELECT count(*) FROM migrator.migration_map") == [(10,)]
    assert ledger.left_unlinked(rig.target, 1) == {}
    assert rig.compare(rig.work("node")).agrees
    assert rig.compare(rig.work("leaf")).agrees


def test_too_many_take_nothing_away(rig: Rig) -> None:
    forest(rig, "name = 'BAD' WHERE id = 11", f"{QUARANTINE}\nmax_quarantined: 70")
    with pytest.raises(
        TooManyQuarantined, match=r"more than 70 rows cannot be migrated; the last: (node|leaf): source"
    ):
        prune(rig)
    assert rig.new("SELECT (SELECT count(*) FROM node), (SELECT count(*) FROM leaf)") == [(49, 49)]
    assert ledger.left_unlinked(rig.target, 1) == {"node": ["12"]}


def test_a_worker_that_was_shut_out_takes_nothing_away(rig: Rig) -> None:
    forest(rig, "up = 99 WHERE id = 40")
    late = rig.ticket(rig.work("node"), "prune")
    ledger.raise_epoch(rig.target, 1, 2)
    with pytest.raises(Fenced):
        prune(rig, late)
    assert rig.new("SELECT count(*) FROM node") == [(50,)]
    done = prune(rig, replace(late, epoch=2))
    assert done["node"] == Done(inserted=-11, quarantined=11)
    assert ledger.recorded_of_all(rig.target, late) == done
