"""Who wants to be told of what, by which way, and what was or has to be told: an outbox that outlives every crash."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from mappings.models import Environment

EVENTS = {
    "ended": "a run ended as it should: verified, rolled back or cancelled",
    "failed": "a run failed, or verification found a difference",
    "waits": "a run waits for somebody: a trouble paused it, or it has waited for some minutes",
    "promotion": "a mapping was verified and is asked for in the next environment",
}
"""What can be told, and in words."""

WAYS = {"mail": "e-mail", "browser": "browser"}
"""How a person can be told."""

WAITING, SENT, GIVEN_UP = "waiting", "sent", "given up"


def known_events(chosen: object) -> None:
    """Raises ValidationError unless it is a list of events."""
    if not isinstance(chosen, list) or not set(chosen) <= set(EVENTS):
        raise ValidationError(f"A list of these: {', '.join(EVENTS)}.")


def known_ways(chosen: object) -> None:
    """Raises ValidationError unless it is a list of ways."""
    if not isinstance(chosen, list) or not set(chosen) <= set(WAYS):
        raise ValidationError(f"A list of these: {', '.join(WAYS)}.")


class Wish(models.Model):
    """What one person wants to be told of in one environment, and how; without an environment, in every one."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="wishes")
    environment = models.ForeignKey(
        Environment, on_delete=models.CASCADE, null=True, blank=True, related_name="+",
        help_text="None: every environment.",
    )  # fmt: skip
    events = models.JSONField(default=list, validators=[known_events], help_text=f"Of {', '.join(EVENTS)}.")
    ways = models.JSONField(default=list, validators=[known_ways], help_text=f"Of {', '.join(WAYS)}.")

    class Meta:
        verbose_name_plural = "wishes"
        constraints = [
            models.UniqueConstraint(
                fields=["user", "environment"], nulls_distinct=False, name="one_wish_of_each"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.environment or 'every environment'}"


def _keys() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.CREDENTIALS_KEY])


class Webhook(models.Model):
    """An address that is told, signed with its secret. Both are stored encrypted: an address may be a secret itself."""

    name = models.SlugField(max_length=63, unique=True)
    url_encrypted = models.TextField(editable=False)
    secret_encrypted = models.TextField(editable=False)
    environment = models.ForeignKey(
        Environment, on_delete=models.CASCADE, null=True, blank=True, related_name="+",
        help_text="Of which environment it is told. None: of every one.",
    )  # fmt: skip
    events = models.JSONField(default=list, validators=[known_events])
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def url(self) -> str:
        return _opened(self.url_encrypted)

    @url.setter
    def url(self, url: str) -> None:
        self.url_encrypted = _keys().encrypt(url.encode()).decode()

    @property
    def secret(self) -> str:
        return _opened(self.secret_encrypted)

    @secret.setter
    def secret(self, secret: str) -> None:
        self.secret_encrypted = _keys().encrypt(secret.encode()).decode()

    @property
    def host(self) -> str:
        """What may be shown of the address."""
        return urlsplit(self.url).hostname or "(unreadable)"

    @staticmethod
    def new_secret() -> str:
        return secrets.token_urlsafe(32)


def _opened(stored: str) -> str:
    """'' where it was encrypted with a key that CREDENTIALS_KEY no longer lists."""
    try:
        return _keys().decrypt(stored.encode()).decode()
    except InvalidToken:
        return ""


class Notice(models.Model):
    """Something that one receiver has to be told, or was. Added in the transaction of what it tells."""

    WAYS = ("mail", "browser", "webhook")
    STATES = (WAITING, SENT, GIVEN_UP)

    event = models.CharField(max_length=20)
    title = models.CharField(max_length=200)
    text = models.TextField()
    facts = models.JSONField(
        default=dict
    )  # what a program is told besides: run, mapping, environment, status
    path = models.CharField(max_length=200, blank=True)  # the page of ours to look at
    way = models.CharField(max_length=10)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="notices"
    )
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, null=True, related_name="notices")
    state = models.CharField(max_length=10, default=WAITING)
    attempts = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField(default=timezone.now)
    error = models.TextField(blank=True)
    created = models.DateTimeField(default=timezone.now)
    sent = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["next_at"], condition=models.Q(state="waiting"), name="notice_due"),
            models.Index(fields=["user", "way", "state"], name="notice_of_user"),
        ]

    def __str__(self) -> str:
        return f"{self.title}: {self.way} {self.state}"

    @property
    def receiver(self) -> str:
        """Who is told, as it may be shown."""
        return f"webhook {self.webhook.name}" if self.webhook else f"{self.user}"
