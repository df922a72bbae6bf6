"""Migrations for Django, executed by Django in a project of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from tests.export.conftest import Twins
from tests.export.twins import Twin, likeness

SETTINGS = """
SECRET_KEY = "x"
INSTALLED_APPS = ["exported"]
USE_TZ = True
DATABASES = {{"default": {{"ENGINE": "django.db.backends.postgresql", **{database!r}}}}}
"""


def migrate(twin: Twin, home: Path, *words: str) -> str:
    found = conninfo_to_dict(twin.pair.target)
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    database = {name: str(found.get(key) or "") for name, key in names.items()}
    (home / "made_settings.py").write_text(SETTINGS.format(database=database))
    path = os.pathsep.join([str(home), *sys.path])
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "made_settings", "PYTHONPATH": path}
    command = [sys.executable, "-m", "django", "migrate", "migrated_feature", *words]
    done = subprocess.run(
        command, env=env, cwd=home, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_ends_in_what_a_worker_makes_and_back(twins: Twins, tmp_path: Path) -> None:
    hand, worker = twins
    before = hand.state()
    folder = hand.export(tmp_path / "exported", "django", rows=50)
    hand.psql(folder / "by_psql/1_before")
    assert "Applying migrated_feature.0010_register... OK" in migrate(hand, tmp_path)
    hand.psql(folder / "by_psql/2_after")
    worker.verified()
    assert likeness(hand) == likeness(worker)
    assert "No migrations to apply" in migrate(hand, tmp_path)
    hand.psql(folder / "by_psql/3_before_undo")
    migrate(hand, tmp_path, "zero")
    assert hand.state() == before
