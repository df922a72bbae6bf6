"""The target's id in the source as a foreign key."""

from __future__ import annotations

from mappings.language.canonical import dump
from mappings.store import spec_of
from tests.language.feature import Feature

HEADING = "The target's id in the source as a foreign key"
KEY = (
    "SELECT conname::text, convalidated, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE conrelid = 'old.customer'::regclass AND contype = 'f'"
)


def test_the_key_comes_with_its_index_is_valid_in_the_end_and_goes_with_the_column(feature: Feature) -> None:
    feature.given_recipe(HEADING)
    if not feature.one:
        assert feature.blockers() == (
            "tables[0].link.backref.foreign_key: a foreign key cannot lead from one database to another; without it the"
            " column gets the ids all the same"
        )
        return
    run = feature.check({"SELECT c.name FROM old.customer c JOIN client t ON t.id = c.client_id AND t.name = c.name"
                         " ORDER BY 1": [("ada",), ("bob",)]})  # fmt: skip
    assert run.status == "verified"
    assert feature.source(KEY) == [
        ("customer_client_id_fkey", True, "FOREIGN KEY (client_id) REFERENCES new.client(id)")
    ]
    feature.source("INSERT INTO old.customer VALUES (3, 'cyd')")  # a catch-up finds all of it there
    feature.brings({"SELECT count(*) FROM old.customer WHERE client_id IS NULL": [(0,)]})


def test_it_is_dumped_as_it_is_loaded_and_refused_where_the_column_is_without(feature: Feature) -> None:
    feature.given_recipe(HEADING, source="ALTER TABLE customer ADD client_id bigint")
    assert "{column: client_id, foreign_key: true}" in dump(spec_of(feature.mapping))
    if feature.one:
        assert feature.blockers() == (
            "tables[0].link.backref.foreign_key: old.customer.client_id is there without the foreign key"
            " customer_client_id_fkey; add it, or name another column"
        )
