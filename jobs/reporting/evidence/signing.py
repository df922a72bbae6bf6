"""Signatures of evidence: Ed25519, with a key that this installation keeps among its secrets (EVIDENCE_KEY).

Who checks needs the public key alone, and has to have it from somebody they trust: a file names the key that signed
it, and whoever forges a file names their own. It proves that this installation said so, not that it was right to:
the digests do that, where the databases are at hand.
"""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings

from mappings.problems import Problem, Refused

ALGORITHM = "Ed25519"


def public_key() -> str:
    """This installation's, in base64: to be handed to those who check."""
    return _told(_own().public_key())


def sign(text: str) -> str:
    """The signature of a text in UTF-8, in base64."""
    return base64.b64encode(_own().sign(text.encode())).decode()


def is_signed(text: str, signature: str, key: str) -> bool:
    """Whether who holds that key signed the text."""
    try:
        _key(key).verify(base64.b64decode(signature, validate=True), text.encode())
    except (InvalidSignature, binascii.Error):
        return False
    return True


def _own() -> Ed25519PrivateKey:
    try:
        return Ed25519PrivateKey.from_private_bytes(base64.b64decode(settings.EVIDENCE_KEY, validate=True))
    except (ValueError, binascii.Error) as error:
        raise Refused([Problem("EVIDENCE_KEY", "must be 32 bytes in base64")]) from error


def _key(text: str) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text.strip(), validate=True))
    except (ValueError, binascii.Error) as error:
        raise Refused([Problem("", "the public key must be 32 bytes in base64")]) from error


def _told(key: Ed25519PublicKey) -> str:
    return base64.b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
