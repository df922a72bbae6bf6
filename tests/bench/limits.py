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

MAP_COLUMNS = "mapping, table_name, source_key, target_key, run, action"
INSERT_MAP = (
    f"INSERT INTO migrator.migration_map ({MAP_COLUMNS})"
    f" SELECT 'by-hand', '{{0}}', {SOURCE_ID}::text, id::text, 1, 'inserted' FROM app.{{0}}"
)
DELETE_MAP = "DELETE FROM migrator.migration_map WHERE mapping = 'by-hand'"
DROP_KEY = "ALTER TABLE migrator.migration_map DROP CONSTRAINT migration_map_pkey"
ADD_KEY = "ALTER TABLE migrator.migration_map ADD PRIMARY KEY (mapping, table_name, source_key)"
BLOCK = 128 * 1024


def empty_map(url: str) -> None:
    """The product's own map with its primary key, empty."""
    with psycopg.connect(url, autocommit=True) as conn:
        ledger.install(conn)
        conn.execute("TRUNCATE migrator.migration_map")


def insert(url: str, table: str = "person") -> float:
    """One INSERT … SELECT."""
    return timed(url, f"INSERT INTO app.{table} ({columns(table)}) {projection(table)}")


def insert_map(url: str, table: str) -> float:
    """One INSERT … SELECT of the map from the filled target, the map's primary key in place."""
    return timed(url, INSERT_MAP.format(table))


def insert_map_key_afterwards(url: str, table: str) -> float:
    """The same, the map's primary key built afterwards."""
    execute(url, DROP_KEY)
    return timed(url, INSERT_MAP.format(table), ADD_KEY)


def delete(url: str, table: str, with_map: bool) -> float:
    """One DELETE of the rows, and one of their map rows where there are any."""
    return timed(url, f"DELETE FROM app.{table} WHERE {FLAG}", *([DELETE_MAP] if with_map else []))


def copy_out(table: str = "person") -> str:
    """What the source is asked for by a stream."""
    return f"COPY ({projection(table)}) TO STDOUT (FORMAT binary)"


def copy_in(table: str = "person") -> str:
    """What the target is told by a stream."""
    return f"COPY app.{table} ({columns(table)}) FROM STDIN (FORMAT binary)"


def stream(source: str, target: str, out: str, into: str) -> float:
    """One binary COPY piped into the other, without any map."""
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
