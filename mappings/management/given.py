"""Secrets that a command is given past its command line, which everybody on the host can read."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TextIO
from urllib.parse import quote

from mappings.problems import Problem, Refused

WAYS = "env:NAME (a variable of the environment), file:PATH (its first line), or - (a line of standard input)"
USER = re.compile(r"^([a-z]+://[^:/?#@]+)(?::[^/?#@]*)?@")


def given(option: str, text: str, stdin: TextIO) -> str:
    """What is meant by env:NAME, file:PATH or -; any other text as it is. Refused where there is nothing."""
    way, _, rest = text.partition(":")
    if text == "-":
        return _there(option, stdin.readline(), "standard input has no line for it")
    if way == "env":
        return _there(option, os.environ.get(rest, ""), f"the variable {rest} of the environment is not set")
    if way == "file":
        try:
            lines = Path(rest).read_text().splitlines()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise Refused([Problem(option, f"the file {rest} cannot be read: {reason}")]) from error
        return _there(option, lines[0] if lines else "", f"the file {rest} has no first line")
    return text


def _there(option: str, text: str, otherwise: str) -> str:
    result = text.rstrip("\r\n")
    if not result:
        raise Refused([Problem(option, otherwise)])
    return result


def with_password(option: str, url: str, password: str) -> str:
    """The address with that password, whatever characters are in it."""
    if not USER.match(url):
        raise Refused(
            [Problem(option, "the address has no user whose password it could be: write user@ in it")]
        )
    return USER.sub(lambda result: f"{result[1]}:{quote(password, safe='')}@", url)
