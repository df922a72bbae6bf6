"""A draft as a mapping file, whole or not: what is not there yet is missing in the text as well."""

from __future__ import annotations

from mappings.language.canonical import dump, dump_values
from mappings.models import Mapping
from mappings.problems import Refused
from mappings.store import spec_of, values_of


def draft_text(mapping: Mapping) -> str:
    """The mapping file of the draft; parse(draft_text(m)) says what the draft says, or what is wrong with it."""
    try:
        return dump(spec_of(mapping))
    except Refused:
        return dump_values(values_of(mapping))
