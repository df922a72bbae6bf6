"""Writes the text of a mapping file, a table at a time: a table that says what it said is not written anew.

YAML's own writer takes a second for 30,000 columns. Columns that are surely one plain line are written here.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from itertools import groupby
from typing import Any

import yaml

from mappings.language.file import plain_scalar

LINE = 100  # a column of the file stays on one line up to about here

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
NOT_PLAIN = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""Words that some reader of YAML takes for something else than a text."""

OPENING = "tables:\n"
COLUMNS = "  - columns:\n"
TABLES_KEPT = 1000


def written(values: dict[str, Any]) -> str:
    """The text of a mapping file that says `values`, whole or not."""
    tables = values.get("tables")
    if not isinstance(tables, list) or not tables or list(values)[-1] != "tables":
        return written_at_once(values)
    rest = {key: value for key, value in values.items() if key != "tables"}
    items = (_table(json.dumps(table, ensure_ascii=False)) for table in tables)
    return "".join([written_at_once(rest) if rest else "", OPENING, *items])


def written_at_once(values: dict[str, Any]) -> str:
    """The same text by YAML's own writer alone."""
    return _dumped(_laid_out(values))


@lru_cache(maxsize=TABLES_KEPT)
def _table(as_json: str) -> str:
    """The lines of one table, in the list of tables."""
    table = json.loads(as_json)
    columns = table.get("columns") if isinstance(table, dict) else None
    if not isinstance(columns, dict) or not columns or list(table)[-1] != "columns":
        return _item(table)
    rest = {key: value for key, value in table.items() if key != "columns"}
    lines = _item(rest) + "    columns:\n" if rest else COLUMNS
    for plain, group in groupby(columns.items(), lambda column: all(map(_is_plain, column))):
        result = list(group)
        if plain:
            lines += "".join(f"      {name}: {source}\n" for name, source in result)
        else:
            lines += _item({"columns": dict(result)}).removeprefix(COLUMNS)
    return lines


def _item(table: Any) -> str:
    return written_at_once({"tables": [table]}).removeprefix(OPENING)


def _is_plain(text: Any) -> bool:
    """Whether it is a text that every reader takes for one, as it stands."""
    return isinstance(text, str) and PLAIN.fullmatch(text) is not None and text.lower() not in NOT_PLAIN


def _dumped(values: dict[str, Any]) -> str:
    return yaml.dump(
        values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**9, default_flow_style=False
    )


class _Flow(dict[str, Any]):
    """A mapping that is written on one line."""


class _FlowList(list[Any]):
    """A list that is written on one line."""


def _laid_out(values: dict[str, Any]) -> dict[str, Any]:
    """The file's values, with what is short marked to be written on one line."""
    params = {"params": _on_one_line(values["params"])} if "params" in values else {}
    tables = {"tables": [_laid_out_table(table) for table in values["tables"]]} if "tables" in values else {}
    return {**values, **params, **tables}


def _laid_out_table(table: dict[str, Any]) -> dict[str, Any]:
    columns = {name: _on_one_line(column) for name, column in table.get("columns", {}).items()}
    short = {key: _on_one_line(value) for key, value in table.items() if key not in ("joins", "columns")}
    joins = [_on_one_line(join) for join in table.get("joins", ())]
    return {key: {"columns": columns, "joins": joins}.get(key, short.get(key)) for key in table}


def _on_one_line(value: Any) -> Any:
    text = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, (dict, list)) or len(text) > LINE or "\\n" in text:
        return value
    if isinstance(value, list):
        return _FlowList(value)
    return _Flow(value)


class _Dumper(yaml.SafeDumper):
    """Writes plain values so that YAML 1.1 and 1.2 readers alike take each text for a text."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def choose_scalar_style(self) -> str:
        """Double quotes where single ones would have to be doubled."""
        style = str(super().choose_scalar_style())
        text = str(getattr(self.event, "value", ""))
        return '"' if style == "'" and "'" in text and '"' not in text and "\\" not in text else style

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _write_text(dumper: _Dumper, text: str) -> yaml.Node:
    lines = text.split("\n")
    style = None
    if any(break_ in text for break_ in "\x85\u2028\u2029"):
        style = '"'  # YAML 1.1 readers fold these line breaks away, unless they are escaped
    elif len(lines) > 1 and all(line == line.strip() and line for line in lines):
        style = "|"
    elif type(plain_scalar(text)) is not str:
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _write_text)
_Dumper.add_representer(
    _Flow, lambda dumper, value: dumper.represent_mapping("tag:yaml.org,2002:map", value, True)
)
_Dumper.add_representer(
    _FlowList, lambda dumper, value: dumper.represent_sequence("tag:yaml.org,2002:seq", value, True)
)
