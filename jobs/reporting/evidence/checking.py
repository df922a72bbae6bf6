"""Evidence checked by somebody who was not there: the signature first, then the digests, on the databases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jobs.reporting.evidence import signing
from jobs.reporting.evidence.document import FORMAT, Sides, both_sides, rows_and_digest
from jobs.reporting.hashes import canonical_text
from mappings.connections import sessions
from mappings.problems import Problem, Refused


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. holds: None where it could not be."""

    what: str
    holds: bool | None
    detail: str


def read(text: str, key: str) -> dict[str, Any]:
    """The document, once it is certain that who holds the key signed every letter of it; Refused if not."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise Refused([Problem("", "this is no JSON file, so no evidence")]) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise Refused([Problem("", f"this is no evidence of the form {FORMAT!r}")])
    signature = document.get("signature")
    value = signature.get("value") if isinstance(signature, dict) else None
    signed = canonical_text({name: part for name, part in document.items() if name != "signature"})
    if document.get("public_key") != key:
        told = f"it names the key {document.get('public_key')}, and the key that you trust is {key}"
        raise Refused([Problem("", f"{told}; name another one with --public-key if you know whose it is")])
    if not isinstance(value, str) or not signing.is_signed(signed, value, key):
        raise Refused([Problem("", "the signature does not fit: the file was changed after it was signed")])
    return document


def findings(document: dict[str, Any], source_url: str, target_url: str) -> Iterator[Finding]:
    """What holds of it on the databases now, one thing at a time. Refused where one does not answer."""
    with both_sides(source_url, target_url) as sides:
        for side, conn in sides.items():
            result, recorded = sessions.identity(conn), document[side]["identity"]
            told = result if result == recorded else f"{result}, not {recorded}"
            yield Finding(f"the {side} is the same database", result == recorded, told)
        for table in document["tables"]:
            yield from _of_table(table, sides)


def _of_table(table: dict[str, Any], sides: Sides) -> Iterator[Finding]:
    if not table["digests"]:
        yield Finding(table["name"], None, table["why_no_digests"])
        return
    now = {side: rows_and_digest(conn, table["digests"][side]["sql"]) for side, conn in sides.items()}
    for side, (rows, result) in now.items():
        then = table["digests"][side]
        is_same = (rows, result) == (then["rows"], then["digest"])
        told = f"{rows:,} rows, digest {result}" + (
            "" if is_same else f"; then {then['rows']:,}, {then['digest']}"
        )
        yield Finding(f"{table['name']}: the {side} is as it was", is_same, told)
    agrees = now["source"] == now["target"]
    told = "their digests are the same" if agrees else "their digests differ"
    yield Finding(f"{table['name']}: source and target agree", agrees, told)
