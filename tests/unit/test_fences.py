"""Each contract on who may import whom is seen failing: a copy of the code in which every file breaks all it can."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

pytestmark = pytest.mark.thorough
LINTER = Path(sys.executable).parent / "lint-imports"
CONFIGURATION = settings.BASE_DIR / "pyproject.toml"
CONTRACTS = tomllib.loads(CONFIGURATION.read_text())["tool"]["importlinter"]["contracts"]
PACKAGES = ("migrator_site", "jobs", "mappings")
LAYERED = [contract for contract in CONTRACTS if contract["type"] == "layers"]


def files_of(root: Path, module: str) -> list[Path]:
    """The module's files: its own, or all of its package."""
    path = root.joinpath(*module.split("."))
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def backward(contract: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    """Pairs of modules of which the first must not import the second: each layer and those above and beside it."""
    for container in contract.get("containers", [""]):
        layers = [re.split(r" [|:] ", layer) for layer in contract["layers"]]
        named = [[f"{container}.{name}".lstrip(".") for name in layer] for layer in layers]
        for higher, lower in itertools.pairwise(named):
            yield from ((low, high) for low in lower for high in higher)
        for layer, text in zip(named, contract["layers"], strict=True):
            if "|" in text:
                yield from itertools.pairwise(layer)


def forbidden(contract: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    for module in contract["source_modules"]:
        yield from ((module, wanted) for wanted in contract["forbidden_modules"])


PAIRS = {
    contract["id"]: list((backward if contract in LAYERED else forbidden)(contract)) for contract in CONTRACTS
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the linter says of a copy with every import in it that a contract is there to keep out."""
    root = tmp_path_factory.mktemp("fences")
    shutil.copy(CONFIGURATION, root)
    for package in PACKAGES:
        shutil.copytree(
            settings.BASE_DIR / package, root / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    for pairs in PAIRS.values():
        for importer, imported in pairs:
            for path in files_of(root, importer):
                with path.open("a") as file:
                    file.write(f"\nimport {imported}\n")
    for contract in LAYERED:
        for container in contract.get("containers", []):
            root.joinpath(*container.split("."), "nowhere.py").touch()
    environment = {**os.environ, "COLUMNS": "1000"}
    done = subprocess.run(
        [LINTER, "--no-logo", "--no-cache"],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract["id"])
def test_each_contract_is_broken(contract: dict[str, str], said: str) -> None:
    assert f"{contract['name']} BROKEN" in said


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract["id"])
def test_no_file_gets_past_it(contract: dict[str, str], said: str) -> None:
    root = settings.BASE_DIR
    for importer, imported in PAIRS[contract["id"]]:
        for path in files_of(root, importer):
            module = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
            assert re.search(rf"\b{module} -> {imported}\b", said), f"{module} may import {imported}"


@pytest.mark.parametrize("contract", LAYERED, ids=lambda contract: contract["id"])
def test_a_package_without_a_layer_is_seen(contract: dict[str, list[str]], said: str) -> None:
    for container in contract.get("containers", []):
        assert re.search(rf"^- {container}\.nowhere$", said, flags=re.MULTILINE), container
