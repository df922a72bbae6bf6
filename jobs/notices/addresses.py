"""Which addresses a webhook may have: one that leads into our own network could make the product ask there.

Names are looked up once, and that very address is connected to, so that a name cannot change its mind in between.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings

from jobs.notices.failures import Undeliverable, Undelivered

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a webhook leads: address is that of its host, as far as it was looked up."""

    scheme: str
    host: str
    port: int
    path: str
    address: str = ""


def parsed(url: str) -> Place:
    """The parts of an address. Raises Undeliverable for what is none."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise Undeliverable("that is no address of a web server") from error
    if parts.scheme not in PORTS or not parts.hostname:
        raise Undeliverable("an address begins with https:// or http:// and names a host")
    if parts.username or parts.password:
        raise Undeliverable("an address has no user and no password in it: requests are signed instead")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise Undeliverable("an address has only ASCII letters and no spaces")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Place(parts.scheme, parts.hostname, port, path)


def looked_up(place: Place) -> Place:
    """With the address to connect to. Raises Undelivered where there is none, or none that is allowed."""
    try:
        result = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Undelivered(f"{place.host} is not found") from error
    addresses = [str(one[4][0]) for one in result]
    if place.host not in settings.WEBHOOK_HOSTS and not all(is_public(one) for one in addresses):
        raise Undeliverable(f"{place.host} is not out in the internet; WEBHOOK_HOSTS would have to name it")
    return Place(place.scheme, place.host, place.port, place.path, addresses[0])


def is_public(text: str) -> bool:
    """Whether an address is one of the internet, whatever it is wrapped in."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.sixtofour or address.teredo:
            return False
        address = address.ipv4_mapped or address
    return address.is_global and not address.is_multicast
