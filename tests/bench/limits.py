"""The limits: the same work by plain SQL, written by hand, on the same servers."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import psycopg
from psycopg.conninfo import conninfo_to_dict

from jobs.engine.target import ledger
from tests.bench.data import FLAG, SOURCE_ID, columns, projection
from tests.bench.servers import execute, timed

INSERT = f"INSERT INTO app.person ({columns()}) {projection()}"
MAP_COLUMNS = "mapping, table_name, source_key, target_key, run, action"
INSERT_MAP = (
    f"INSERT INTO migrator.migration_map ({MAP_COLUMNS})"
    f" SELECT 'by-hand', 'person', {SOURCE_ID}::text, id::text, 1, 'inserted' FROM app.person"
)
DELETE = f"DELETE FROM app.person WHERE {FLAG}"
DELETE_MAP = "DELETE FROM migrator.migration_map WHERE mapping = 'by-hand'"
DROP_KEY = "ALTER TABLE migrator.migration_map DROP CONSTRAINT migration_map_pkey"
ADD_KEY = "ALTER TABLE migrator.migration_map ADD PRIMARY KEY (mapping, table_name, source_key)"
COPY_OUT = f"COPY ({projection()}) TO STDOUT (FORMAT binary)"
COPY_IN = f"COPY app.person ({columns()}) FROM STDIN (FORMAT binary)"
BLOCK = 128 * 1024


def empty_map(url: str) -> None:
    """The product's own map with its primary key, empty."""
    with psycopg.connect(url, autocommit=True) as conn:
        ledger.install(conn)
        conn.execute("TRUNCATE migrator.migration_map")


def insert(url: str) -> float:
    """One INSERT … SELECT."""
    return timed(url, INSERT)


def insert_map(url: str) -> float:
    """One INSERT … SELECT of the map from the filled target, the map's primary key in place."""
    return timed(url, INSERT_MAP)


def insert_map_key_afterwards(url: str) -> float:
    """The same, the map's primary key built afterwards."""
    execute(url, DROP_KEY)
    return timed(url, INSERT_MAP, ADD_KEY)


def delete(url: str, with_map: bool) -> float:
    """One DELETE of the rows, and one of their map rows where there are any."""
    return timed(url, *([DELETE, DELETE_MAP] if with_map else [DELETE]))


def stream(source: str, target: str, out: str = COPY_OUT, into: str = COPY_IN) -> float:
    """One binary COPY piped into the other, without any map; of the large table, or as it is said."""
    psql = shutil.which("psql")
    began = time.perf_counter()
    if psql:
        _pipe(psql, source, target, out, into)
    else:
        _stream_by_psycopg(source, target, out, into)
    return time.perf_counter() - began


def _pipe(psql: str, source: str, target: str, copy_out: str, copy_in: str) -> None:
    command = [psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c"]
    with (
        subprocess.Popen([*command, copy_out], env=_environ(source), stdout=subprocess.PIPE) as out,
        subprocess.Popen([*command, copy_in], env=_environ(target), stdin=out.stdout) as into,
    ):
        assert out.stdout is not None
        out.stdout.close()
    if out.returncode or into.returncode:
        raise RuntimeError(f"psql COPY | psql COPY ended with {out.returncode} | {into.returncode}")


def _environ(url: str) -> dict[str, str]:
    """How psql gets an address without showing the password to everybody."""
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
    names |= {"dbname": "PGDATABASE"}
    return os.environ | {names[key]: str(value) for key, value in conninfo_to_dict(url).items()}


def _stream_by_psycopg(source: str, target: str, copy_out: str, copy_in: str) -> None:
    with (
        psycopg.connect(source) as reader,
        psycopg.connect(target) as writer,
        reader.cursor().copy(copy_out.encode()) as out,
        writer.cursor().copy(copy_in.encode()) as into,
    ):
        block = bytearray()
        for data in out:
            block += data
            if len(block) >= BLOCK:
                into.write(bytes(block))
                block.clear()
        into.write(bytes(block))
