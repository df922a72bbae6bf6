"""README and docs tell the truth where a machine can tell: commands, options, keys, settings, states, tables."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import get_commands, load_command_class

from jobs import states
from jobs.reporting import summary
from mappings.language import checks as mapping_checks
from mappings.language import column_checks, file
from mappings.schema import own_schema

ROOT = settings.BASE_DIR
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
TEXT = "\n".join(page.read_text() for page in PAGES)
PYTHON = ".venv/bin/python"
ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")
MOST_LINES = 120
"""Of the README: what is longer than that nobody reads; the rest is in docs."""
MOST_BYTES = 150_000
UNMAPPED = {"migrations", "management", "templatetags", "demo", "engine"}


def fenced(language: str) -> list[str]:
    """The contents of the fenced blocks of that language."""
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """Every command of the sh blocks as words, without its comment, its variables and where its output goes."""
    lines = "".join(fenced("sh")).splitlines()
    found = [shlex.split(line.partition(" > ")[0], comments=True) for line in lines]
    return [words for words in found if words]


def first_cells(heading: str) -> list[str]:
    """What stands in backticks in the first column of the table whose heading row begins so."""
    table = re.search(rf"^\| {re.escape(heading)} \|.*\n\| ---.*\n((?:\|.*\n)+)", TEXT, flags=re.MULTILINE)
    assert table, heading
    cells = [row.split("|")[1] for row in table[1].splitlines()]
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell) or [cell.strip()]]


def parse_as_command(words: list[str]) -> argparse.Namespace:
    """The command's own parser reads the words; nothing is run. AssertionError if it refuses them."""
    name, *arguments = words
    assert name in get_commands(), f"manage.py has no command {name}"
    try:
        return (
            load_command_class(get_commands()[name], name)
            .create_parser("manage.py", name)
            .parse_args(arguments)
        )
    except (Exception, SystemExit) as error:
        raise AssertionError(f"manage.py {shlex.join(words)}: {error}") from error


def check_make(words: list[str]) -> None:
    """Each word is a target of the Makefile or sets a variable that the Makefile reads."""
    makefile = (ROOT / "Makefile").read_text()
    for word in words:
        if ASSIGNMENT.match(word):
            assert f"$({word.partition('=')[0]})" in makefile, f"the Makefile does not read {word}"
        else:
            assert re.search(rf"^{re.escape(word)}:", makefile, flags=re.MULTILINE), (
                f"make has no target {word}"
            )


def check_export(words: list[str]) -> None:
    names = {word.partition("=")[0] for word in words}
    assert names <= set(first_cells("setting")), names


def check_python(words: list[str]) -> None:
    if words[0] == "-c":
        compile(words[1], "a page", "exec")
    else:
        assert words[0] == "manage.py"
        parse_as_command(words[1:])


@pytest.mark.parametrize("words", commands(), ids=shlex.join)
def test_each_command_is_real(words: list[str]) -> None:
    program, *rest = words
    checks = {"make": check_make, "export": check_export, PYTHON: check_python}
    if program in checks:
        checks[program](rest)
    else:
        assert (ROOT / program).stat().st_mode & 0o100, f"{program} cannot be run"


@pytest.mark.parametrize(
    "wrong", ["run begin x", "run start x", "mapping plan x --env e --format yaml", "fly"]
)
def test_a_wrong_command_would_be_noticed(wrong: str) -> None:
    with pytest.raises(AssertionError):
        parse_as_command(wrong.split())


def test_commands_named_in_prose_are_real() -> None:
    for text in re.findall(r"`make ([^`]+)`", TEXT):
        check_make(shlex.split(text))
    for text in re.findall(r"`((?:run|environment|mapping) [a-z]+)\b", TEXT):
        name, verb = text.split()
        help_text = (
            load_command_class(get_commands()[name], name).create_parser("manage.py", name).format_help()
        )
        assert re.search(rf"\b{verb}\b", help_text), text


def test_the_examples_are_mappings() -> None:
    examples = [file.parse(example) for example in fenced("yaml")]
    assert ["company", "contact"] in [[table.name for table in example.tables] for example in examples]


def test_every_key_of_the_mapping_file_is_explained() -> None:
    known = {*mapping_checks.FILE_KEYS, *mapping_checks.TABLE_KEYS, *column_checks.COLUMN_KEYS}
    assert set(first_cells("key")) == known


def test_every_setting_is_explained() -> None:
    code = "".join((ROOT / "migrator_site" / name).read_text() for name in ("settings.py", "embedded.py"))
    reads = r'\b(?:environment|switched_on|whole_number|listed|secret|environ\.get)\(\s*"([A-Z_]+)"'
    assert set(first_cells("setting")) == set(re.findall(reads, code))


def test_the_states_are_those_of_a_run() -> None:
    assert sorted(first_cells("state")) == sorted(states.STATUSES)


def test_the_exit_codes_are_those_of_the_commands() -> None:
    known = (summary.DONE, summary.FAILED, summary.REFUSED, summary.DIFFERENT)
    assert first_cells("exit") == [str(code) for code in known]


def columns_of(table: str) -> set[str]:
    """The columns of a table of the schema `migrator`."""
    body = re.search(
        rf"CREATE TABLE IF NOT EXISTS migrator\.{table} \((.*?)\);", own_schema.SCHEMA, flags=re.DOTALL
    )
    assert body, f"there is no table migrator.{table}"
    return set(re.findall(r"(?:^|,)\s*([a-z_]+) ", body[1]))


def test_the_query_asks_for_what_is_there() -> None:
    (query,) = [text for text in fenced("sql") if "migrator.ledger" in text]
    tables = {alias: columns_of(name) for name, alias in re.findall(r"migrator\.(\w+) (\w)\b", query)}
    assert tables.keys() == {"l", "r", "q", "m"}
    for alias, column in re.findall(r"\b([lrqm])\.(\w+)", query):
        assert column in tables[alias], f"{alias}.{column}"


def test_the_tables_in_the_target_are_named() -> None:
    (item,) = re.findall(r"schema `migrator`\*\*: (.*)", TEXT)
    named = re.findall(r"`(\w+)` ?[(.,]|`(\w+)`\.", item)
    made = re.findall(r"CREATE TABLE IF NOT EXISTS migrator\.(\w+)", own_schema.SCHEMA)
    assert sorted(first or second for first, second in named) == sorted(made)


def headings(page: Path) -> set[str]:
    """The headings of a page, spelled as in links to them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_it_points_to_are_there(page: Path) -> None:
    text = page.read_text()
    for path, heading in re.findall(r"\]\(([^)#:]+)(?:#([\w-]+))?\)", text):
        assert (page.parent / path).is_file(), path
        assert not heading or heading in headings(page.parent / path), f"{path} has no heading {heading}"
    for path in re.findall(r"`((?:mappings|jobs|migrator_site|tests|templates)/[\w/.]*)`", text):
        assert (ROOT / path).exists(), path


def test_the_picture_is_small() -> None:
    assert (ROOT / "tests/browser/screenshot.png").stat().st_size < MOST_BYTES


def test_the_readme_leads_to_every_page() -> None:
    linked = set(re.findall(r"\]\(([^)#:]+\.md)\)", PAGES[0].read_text()))
    assert {str(page.relative_to(ROOT)) for page in PAGES[1:]} <= linked


def test_every_package_is_on_the_map() -> None:
    pages = (ROOT / "docs/architecture.md").read_text()
    for package in (
        *(ROOT / "mappings").iterdir(),
        *(ROOT / "jobs").iterdir(),
        *(ROOT / "jobs/engine").iterdir(),
    ):
        if (package / "__init__.py").is_file() and package.name not in UNMAPPED:
            assert f"`{package.relative_to(ROOT)}/`" in pages, package


def test_it_stays_short() -> None:
    assert len(PAGES[0].read_text().splitlines()) <= MOST_LINES
