"""Settings from the environment, and the secrets that are made when it has none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from migrator_site.given import fernet_keys, redis_url
from migrator_site.mail_server import mail_server
from migrator_site.private import kept_secret, write_private
from migrator_site.settings import database


def manage(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "MIGRATOR_HOME": str(home), **variables}
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(
        command, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.thorough
def test_without_servers_a_command_says_how_to_start_them(tmp_path: Path) -> None:
    done = manage(tmp_path, "showmigrations")
    assert done.returncode == 2
    assert "make up" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.thorough
def test_a_database_that_does_not_answer_is_one_sentence(tmp_path: Path) -> None:
    done = manage(tmp_path, "showmigrations", DATABASE_URL="postgresql://u:p@127.0.0.1:1/x")
    assert done.returncode == 2
    assert "does not answer" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.thorough
@pytest.mark.parametrize("command", ["up", "run"])
def test_a_setting_that_is_wrong_is_one_sentence(tmp_path: Path, command: str) -> None:
    done = manage(tmp_path, command, WORKERS="-1")
    assert (done.returncode, done.stderr) == (2, "WORKERS must be a whole number, 0 or more, not '-1'.\n")


@pytest.mark.thorough
def test_a_home_that_is_no_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = manage(tmp_path / "file", "up")
    assert done.returncode == 2
    assert done.stderr.startswith("MIGRATOR_HOME must be a folder") and "Traceback" not in done.stderr


@pytest.mark.thorough
def test_no_servers_are_needed_to_ask_for_help(tmp_path: Path) -> None:
    assert manage(tmp_path, "migrate", "--help").returncode == 0


@pytest.mark.thorough
def test_generated_secrets_stay_and_are_private(tmp_path: Path) -> None:
    home = tmp_path / "home"
    code = "from django.conf import settings as s; print(s.SECRET_KEY, s.CREDENTIALS_KEY, s.EVIDENCE_KEY)"
    environment = {"MIGRATOR_HOME": str(home), "DJANGO_SETTINGS_MODULE": "migrator_site.settings"}
    said = [
        subprocess.check_output([sys.executable, "-c", code], cwd=settings.BASE_DIR, env=environment)
        for _ in range(2)
    ]
    assert said[0] == said[1]
    assert {path.name for path in (home / "secrets").iterdir()} == {
        "secret-key",
        "credentials-key",
        "evidence-key",
    }
    assert {path.stat().st_mode & 0o777 for path in (home / "secrets").iterdir()} == {0o600}
    assert home.stat().st_mode & 0o777 == (home / "secrets").stat().st_mode & 0o777 == 0o700


def test_a_url_becomes_djangos_settings() -> None:
    found = database("postgresql://me:p%40ss@db.example:5433/control?sslmode=require")
    assert (found["USER"], found["PASSWORD"], found["HOST"], found["PORT"], found["NAME"]) == (
        "me",
        "p@ss",
        "db.example",
        "5433",
        "control",
    )
    assert found["OPTIONS"]["sslmode"] == "require"


def test_a_mail_server_is_one_address() -> None:
    found = mail_server("smtp+tls://me%40x:p%40ss@mail.example")
    assert found == ("mail.example", 587, "me@x", "p@ss", True, False)
    assert mail_server("")[0] == "" and mail_server("smtps://mail.example:466")[1] == 466


def test_what_is_no_url_or_no_key_is_refused_without_repeating_it() -> None:
    for call, text in (
        (database, "mysql://me:geheim@x"),
        (redis_url, "geheim"),
        (fernet_keys, "geheim"),
        (mail_server, "imap://me:geheim@x"),
    ):
        with pytest.raises(ImproperlyConfigured) as refused:
            call(text)
        assert "geheim" not in str(refused.value)


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "one"
    assert kept_secret(path, lambda: "first") == kept_secret(path, lambda: "second") == "first"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    write_private(tmp_path / "state", "1")
    write_private(tmp_path / "state", "2")
    assert (tmp_path / "state").read_text() == "2"
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_every_response_has_the_strict_policy(client: Client) -> None:
    response = client.get("/static/nothing-there")
    assert response.headers["Content-Security-Policy"].startswith("default-src 'self'; ")
    assert "unsafe" not in response.headers["Content-Security-Policy"]
