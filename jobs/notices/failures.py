"""Why a notice could not be delivered."""

from __future__ import annotations


class Undelivered(Exception):
    """It may be tried again."""


class Undeliverable(Undelivered):
    """To try again would not help before somebody changes a setting."""
