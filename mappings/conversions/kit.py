"""All conversions by name, and those that people are offered."""

from __future__ import annotations

from mappings.conversions.macro import Macro
from mappings.conversions.texts import TEXTS
from mappings.conversions.values import VALUES

KIT: dict[str, Macro] = {macro.name: macro for macro in (*TEXTS, *VALUES)}

OFFERED: tuple[Macro, ...] = tuple(macro for macro in KIT.values() if macro.about)
