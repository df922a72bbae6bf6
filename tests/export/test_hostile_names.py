"""Names that would break out of a comment, a constant or a string: nothing in them is executed, in any format."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from mappings.plan.text import as_sql
from mappings.sql import literal
from tests.conftest import Databases
from tests.export.test_flyway import version
from tests.export.twins import Twin

SHELL = "\\! touch broken_out"
PYTHON = "__import__('pathlib').Path('broken_out').touch()"
TABLE = f"t\n{SHELL}\n$$ */ '''"
COLUMN = f"c\n{PYTHON}\n#"
LABEL = 'l "" \'\' */ /* \\! -- $$ $migrator$ """ ${x} :x %s {x} ;'

VALUE = "a '' \\n \n" + SHELL + "\n $$ $migrator$ " + "'" * 3 + '"' * 3
SOURCE = (
    f'CREATE TABLE "{TABLE}" (id int PRIMARY KEY, "{COLUMN}" text);'
    f' INSERT INTO "{TABLE}" SELECT n, {literal(VALUE)} || n FROM generate_series(1, 20) n;'
)
TARGET = f'CREATE TABLE "{TABLE}" (id int PRIMARY KEY, "{COLUMN}" varchar(5))'
MAPPING = f"""
tables:
  - name: {json.dumps(LABEL)}
    source: {json.dumps(f'old."{TABLE}"')}
    target: {json.dumps(f'new."{TABLE}"')}
    where: {json.dumps(f"id > 0 AND 'x{chr(10)}{SHELL}' <> ''")}
    link: {{source_id: {json.dumps('s"' + LABEL[:40])}}}
    columns: {{id: id, {json.dumps(COLUMN)}: {{from: {json.dumps(COLUMN)}}}}}
"""
DJANGO = """
SECRET_KEY = "x"
INSTALLED_APPS = ["exported"]
DATABASES = {{"default": {{"ENGINE": "django.db.backends.postgresql", **{database!r}}}}}
"""


@pytest.fixture(params=["one", "two"])
def hand(request: pytest.FixtureRequest, databases: Databases, tmp_path: Path) -> Iterator[Twin]:
    yield Twin(databases, request.param, "hand").filled(SOURCE, TARGET, MAPPING)
    assert not list(tmp_path.rglob("broken_out"))


def copied(hand: Twin) -> list[tuple[object, ...]]:
    rows = hand.source(f'SELECT id, "{COLUMN}" FROM old."{TABLE}" ORDER BY id')
    assert hand.target(f'SELECT id, "{COLUMN}" FROM new."{TABLE}" ORDER BY id') == rows
    return rows


def test_psql(hand: Twin, tmp_path: Path) -> None:
    before = hand.state()
    folder = hand.export(tmp_path / "out")
    hand.psql(folder)
    assert len(copied(hand)) == 20
    hand.psql(folder / "undo")
    assert hand.state() == before


def test_flyway(hand: Twin, tmp_path: Path) -> None:
    """Its files are SQL without commands of psql; psql, which knows more, executes nothing else in them either."""
    folder = hand.export(tmp_path / "out", "flyway")
    hand.psql(folder / "by_psql/1_before")
    for path in sorted(folder.glob("V*.sql"), key=version):
        conf = path.with_name(f"{path.name}.conf")
        alone = conf.exists() and "executeInTransaction=false" in conf.read_text()
        done = hand.try_psql(path, options=["-v", "ON_ERROR_STOP=1", *([] if alone else ["-1"])])
        assert done.returncode == 0, done.stderr
    assert len(copied(hand)) == 20


def migrate(hand: Twin, folder: Path, place: Path) -> None:
    """Executes an export for Django, in a project made for it."""
    hand.psql(folder / "by_psql/1_before")
    found = conninfo_to_dict(hand.pair.target)
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    database = {name: str(found.get(key) or "") for name, key in names.items()}
    (place / "made_settings.py").write_text(DJANGO.format(database=database))
    searched = os.pathsep.join([str(place), *sys.path])
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "made_settings", "PYTHONPATH": searched}
    done = subprocess.run(
        [sys.executable, "-m", "django", "migrate", "migrated_feature"],
        env=env, cwd=place, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_django(hand: Twin, tmp_path: Path) -> None:
    folder = hand.export(tmp_path / "exported", "django")
    for path in folder.rglob("*.py"):
        assert len([one for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, ast.Call)]) <= 4
    migrate(hand, folder, tmp_path)
    assert len(copied(hand)) == 20


def test_the_plan_as_sql(hand: Twin, tmp_path: Path) -> None:
    """Steps and their undo as comments: executed by psql, the undo stays undone."""
    hand.directory = tmp_path
    (tmp_path / "plan.sql").write_text(as_sql(hand.plan()))
    done = hand.try_psql(tmp_path / "plan.sql", options=["-v", "ON_ERROR_STOP=1"])
    assert done.returncode == 0, done.stderr
