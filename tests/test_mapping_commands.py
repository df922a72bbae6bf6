"""`environment` and `mapping`: what they print, and that a refusal is exit status 2 and changes nothing."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from psycopg.conninfo import conninfo_to_dict

from mappings.language.file import MAX_BYTES, parse
from mappings.models import Environment, Mapping, Revision
from tests import many

pytestmark = pytest.mark.django_db

FILE = "version: 1\nname: shop\ntables:\n  - source: a\n    target: b\n    columns:\n      x: y\n"
LOCAL = ("--source", "postgresql://u:hunter2@h1/a", "--target", "postgresql://u:hunter2@h2:5433/b")


def run(*arguments: str) -> str:
    """What the command prints."""
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def refused(*arguments: str) -> list[str]:
    """The lines on stderr of a command that ends with status 2 and prints nothing else."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(SystemExit) as caught:
        call_command(*arguments, stdout=out, stderr=err)
    assert (caught.value.code, out.getvalue()) == (2, "")
    return err.getvalue().splitlines()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.yml"
    path.write_text(FILE)
    return path


def test_passwords_are_given_past_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands on a command line, everybody on the host can read."""
    (tmp_path / "secret").write_text("p@ss: /?#%\nand more\n")
    monkeypatch.setenv("TARGET_PASSWORD", "hunter2")
    monkeypatch.setattr("sys.stdin", io.StringIO("postgresql://u:one@h1/a\nt w o\n"))
    url = "postgresql://u@h1/a"
    for source, source_password, target, target_password in (
        (url, f"file:{tmp_path / 'secret'}", url, "env:TARGET_PASSWORD"),
        ("-", "", url, "-"),
    ):
        words = ["--source", source, "--target", target, "--target-password", target_password]
        words += ["--source-password", source_password] if source_password else []
        assert (
            run("environment", "set", "local", *words)
            == "Environment local is saved: h1:5432/a to h1:5432/a.\n"
        )
        local = Environment.objects.get()
        passwords = [conninfo_to_dict(one)["password"] for one in (local.source_url, local.target_url)]
        assert passwords == (["p@ss: /?#%", "hunter2"] if source_password else ["one", "t w o"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--source-password", "hunter2"), "--source-password: give the password by env:NAME"),
        (
            ("--source-password", "env:NOT_SET_ANYWHERE"),
            "the variable NOT_SET_ANYWHERE of the environment is not set",
        ),
        (
            ("--source-password", "file:/nowhere"),
            "the file /nowhere cannot be read: No such file or directory",
        ),
        (("--source-password", "-"), "standard input has no line for it"),
        (("--source", "postgresql://h1/a", "--source-password", "env:HOME"), "the address has no user"),
    ],
)
def test_a_password_that_is_not_there(
    words: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    lines = refused("environment", "set", "local", *LOCAL, *words)
    assert len(lines) == 1 and said in lines[0] and "hunter2" not in lines[0]
    assert not Environment.objects.exists()


def test_environments_are_set_and_listed_without_passwords() -> None:
    assert (
        run("environment", "set", "local", *LOCAL) == "Environment local is saved: h1:5432/a to h2:5433/b.\n"
    )
    run("environment", "set", "staging", *LOCAL, "--after", "local")
    text = run("environment", "list")
    assert text == "local: h1:5432/a to h2:5433/b\nstaging: h1:5432/a to h2:5433/b (after local)\n"
    assert json.loads(run("environment", "list", "--format", "json"))[1] == {
        "name": "staging", "source": "h1:5432/a", "target": "h2:5433/b", "after": "local",
    }  # fmt: skip


def test_setting_again_replaces_the_addresses_and_leaves_the_order() -> None:
    run("environment", "set", "local", *LOCAL)
    run("environment", "set", "ci", *LOCAL, "--after", "local")
    others = ("--source", "postgresql://h3/a", "--target", "postgresql://h3/b")
    assert run("environment", "set", "ci", *others) == (
        "Environment ci is saved: h3:5432/a to h3:5432/b, after local.\n"
    )
    run("environment", "set", "ci", *others, "--after", "")
    assert (Environment.objects.get(name="ci").after, Environment.objects.count()) == (None, 2)


def test_bad_addresses_names_and_circles_are_refused() -> None:
    lines = refused("environment", "set", "local", "--source", "postgresql://127.1/a", "--target", "/tmp")
    assert [line.split(":")[0] for line in lines] == ["--source", "--target"]
    assert refused("environment", "set", "a b", *LOCAL)[0].startswith("name: ")
    run("environment", "set", "local", *LOCAL)
    assert refused("environment", "set", "ci", *LOCAL, "--after", "nope") == [
        "There is no environment called nope; known are: local."
    ]
    run("environment", "set", "ci", *LOCAL, "--after", "local")
    assert "circle" in refused("environment", "set", "local", *LOCAL, "--after", "ci")[0]
    assert Environment.objects.get(name="local").after is None


def test_a_mapping_is_loaded_dumped_and_listed(file: Path) -> None:
    assert run("mapping", "load", str(file)).startswith("Mapping shop is saved: revision 1, ")
    assert parse(run("mapping", "dump", "shop")) == parse(FILE)
    assert run("mapping", "list") == "shop: 1 tables, revision 1\n"
    row = json.loads(run("mapping", "list", "--format", "json"))[0]
    assert (row["name"], row["tables"], row["revision"]) == ("shop", 1, 1)


def test_lists_are_read_in_parts(django_assert_num_queries: Any) -> None:
    local, *_ = many.make_environments()
    revisions = many.make_mappings(30)
    many.make_runs(4, revisions, [local])
    assert run("environment", "list", "--after", "local", "--limit", "1").startswith("production: ")
    with django_assert_num_queries(1):
        first = json.loads(run("mapping", "list", "--format", "json", "--limit", "20"))
    rest = json.loads(run("mapping", "list", "--format", "json", "--after", first[-1]["name"]))
    assert [row["name"] for row in first + rest] == [revision.mapping.name for revision in revisions]
    assert rest[-1]["tables"] == 2 and rest[-1]["sha256"] == revisions[-1].sha256
    failed = run("mapping", "list", "--status", "failed", "--env", "local")
    assert failed == "m-00001: 2 tables, revision 1\n"
    never = run("mapping", "list", "--status", "never-run", "--search", "M-0000")
    assert [line[:7] for line in never.splitlines()] == [f"m-0000{number}" for number in range(4, 10)]
    assert refused("mapping", "list", "--env", "nowhere")[0].startswith(
        "There is no environment called nowhere"
    )


def test_the_same_file_again_makes_no_revision_and_a_note_goes_with_a_new_one(file: Path) -> None:
    first = run("mapping", "load", str(file), "--note", "the first")
    assert run("mapping", "load", str(file), "--note", "again") == first.replace("is saved", "is unchanged")
    dumped = run("mapping", "dump", "shop")
    file.write_text(dumped)
    assert run("mapping", "load", str(file)) == first.replace("is saved", "is unchanged")
    assert run("mapping", "dump", "shop") == dumped
    file.write_text(FILE.replace("x: y", "x: z"))
    assert run("mapping", "load", str(file), "--note", " y was empty ").startswith(
        "Mapping shop is saved: revision 2, "
    )
    assert run("mapping", "dump", "shop", "--revision", "1") == dumped != run("mapping", "dump", "shop")
    assert refused("mapping", "dump", "shop", "--revision", "7") == [
        "There is no revision 7 of shop; it has 2."
    ]
    saved = list(Revision.objects.order_by("number").values_list("note", "parent_sha256"))
    assert saved == [("the first", ""), ("y was empty", Revision.objects.get(number=1).sha256)]


def test_a_mapping_is_loaded_from_the_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(FILE.encode())))
    run("mapping", "load", "-")
    assert Mapping.objects.get().name == "shop"


def test_every_problem_has_its_line_and_nothing_is_saved(file: Path) -> None:
    file.write_text(FILE.replace("version: 1", "version: 7").replace("x: y", "x: 1"))
    lines = refused("mapping", "load", str(file))
    assert [line.split(": ")[0] for line in lines] == ["version", "tables[0].columns.x"]
    assert not Mapping.objects.exists()


def test_a_file_that_cannot_be_read_or_is_too_large_is_refused(file: Path, tmp_path: Path) -> None:
    assert "No such file" in refused("mapping", "load", str(tmp_path / "none.yml"))[0]
    assert "cannot be read" in refused("mapping", "load", str(tmp_path))[0]
    file.write_text("#" * 10 * MAX_BYTES)
    assert refused("mapping", "load", str(file)) == ["The file is larger than 1 MB."]


def test_an_unknown_mapping_and_a_draft_are_refused(file: Path) -> None:
    assert refused("mapping", "dump", "nope") == ["There is no mapping called nope; none is saved yet."]
    run("mapping", "load", str(file))
    assert refused("mapping", "dump", "nope") == ["There is no mapping called nope; known are: shop."]
    Mapping.objects.get().tables.all().delete()
    assert refused("mapping", "dump", "shop") == ["tables: Must be a list with at least one item."]
