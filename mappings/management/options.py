"""Options that several commands share."""

from __future__ import annotations

from argparse import ArgumentParser


def add_safe_widening(parser: ArgumentParser) -> None:
    """Which way columns of tables in use are widened."""
    text = "widen columns without a long lock where that can be had: a column beside, filled in chunks, swapped in"
    parser.add_argument("--safe-widening", action="store_true", help=text)
