"""What the operator wants, as rows: environments, mappings with their tables and columns, revisions.

Rows may be an incomplete draft; `store` turns complete ones into a MappingSpec and freezes it.
"""

from __future__ import annotations

from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_slug
from django.db import models
from django.db.models import Q
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from mappings.catalog.fingerprints import Side
from mappings.language.canonical import default_name
from mappings.problems import Problem, Refused


def no_hyphen_first(name: str) -> None:
    """Commands would take such a name for an option. Raises ValidationError."""
    if name.startswith("-"):
        raise ValidationError("A name may not begin with a hyphen: commands would take it for an option.")


class CredentialsUnreadable(Refused):
    """A stored address was encrypted with a key that CREDENTIALS_KEY no longer lists; set it again."""


def _keys() -> MultiFernet:
    """The keys of settings.CREDENTIALS_KEY, newest first: the first encrypts, all decrypt."""
    return MultiFernet([Fernet(key) for key in settings.CREDENTIALS_KEY])


class Environment(models.Model):
    """A pair of databases, source and target. The addresses hold passwords and are stored encrypted."""

    name = models.SlugField(
        "name",
        max_length=63,
        unique=True,
        validators=[no_hyphen_first],
        help_text="Such as local, staging or production.",
    )
    source_url_encrypted = models.TextField(editable=False)
    target_url_encrypted = models.TextField(editable=False)
    after = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="followers",
        help_text="A mapping runs here only after it was verified in that environment.",
    )  # fmt: skip
    parameters = models.JSONField(
        default=dict, blank=True,
        help_text="Values of the parameters that mappings name, such as tenant: 12; part of a plan, not of a revision.",
    )  # fmt: skip
    created = models.DateTimeField(auto_now_add=True)
    updated = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(after=models.F("id")) | Q(after=None), name="environment_is_not_after_itself"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def source_url(self) -> str:
        return self._decrypted(self.source_url_encrypted)

    @source_url.setter
    def source_url(self, url: str) -> None:
        self.source_url_encrypted = _keys().encrypt(url.encode()).decode()

    @property
    def target_url(self) -> str:
        return self._decrypted(self.target_url_encrypted)

    @target_url.setter
    def target_url(self, url: str) -> None:
        self.target_url_encrypted = _keys().encrypt(url.encode()).decode()

    def _decrypted(self, stored: str) -> str:
        try:
            return _keys().decrypt(stored.encode()).decode()
        except InvalidToken:
            text = (
                f"The addresses of environment {self.name} were encrypted with another CREDENTIALS_KEY; "
                "add that key to the list, or set the environment again."
            )
            raise CredentialsUnreadable([Problem("", text)]) from None

    def label(self, side: Side) -> str:
        """host:port/database of one side, to show: never the user or the password."""
        try:
            url = self.source_url if side == "source" else self.target_url
            parts = conninfo_to_dict(url)
        except (CredentialsUnreadable, ProgrammingError):
            return "(unreadable)"
        host = str(parts.get("host", ""))
        return f"{f'[{host}]' if ':' in host else host}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"

    @property
    def between(self) -> str:
        """Where it leads from and to, to show."""
        return f"{self.label('source')} → {self.label('target')}"

    def clean(self) -> None:
        """Refuses a circle of `after`: no environment in it could ever be the first."""
        seen, other = {self.pk}, self.after
        while other is not None:
            if other.pk in seen and other.pk is not None:
                raise ValidationError({"after": "These environments would wait for each other in a circle."})
            seen.add(other.pk)
            other = other.after


class Policy(models.TextChoices):
    """What happens to a row that cannot be converted or violates a constraint."""

    STOP = "stop", "stop the run"
    QUARANTINE = "quarantine", "set the row aside and go on"


class Mapping(models.Model):
    """What the operator wants: table mappings, column mappings, policies."""

    name = models.CharField(
        max_length=63, unique=True, validators=[validate_slug, no_hyphen_first], help_text="A slug; unique."
    )
    description = models.TextField(blank=True)
    widen = models.BooleanField(
        default=True,
        help_text="Widen target columns that are too small for the data. Off: such a value is a row error.",
    )
    on_error = models.CharField(
        max_length=10, choices=Policy, default=Policy.STOP,
        help_text="What happens to a row that cannot be converted or violates a constraint.",
    )  # fmt: skip
    max_quarantined = models.PositiveIntegerField(
        default=1000, help_text="Stop the run once more rows than this were set aside."
    )
    params = models.JSONField(default=list, blank=True)
    """The names of parameters, whose values stand with the environment."""
    version = models.PositiveIntegerField(default=0, editable=False)
    """How many edits its draft has seen: an older page is told by it."""
    created = models.DateTimeField(auto_now_add=True)
    updated = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=Q(on_error__in=Policy.values), name="mapping_on_error_is_known"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def latest_revision(self) -> Revision | None:
        return self.revisions.order_by("number").last()


class TableMapping(models.Model):
    """One table mapping of a mapping's draft, complete or not, in the canonical values of the mapping file."""

    mapping = models.ForeignKey(Mapping, on_delete=models.CASCADE, related_name="tables")
    position = models.PositiveIntegerField(default=0, help_text="The order in the mapping file.")
    values = models.JSONField(default=dict)
    version = models.PositiveIntegerField(default=0)
    """The mapping's version at which this table was last edited."""

    class Meta:
        ordering = ["mapping", "position", "pk"]

    def __str__(self) -> str:
        return f"{self.name or self.source} → {self.target}"

    @property
    def name(self) -> str:
        """What references point to: as given, else the source's bare name."""
        return str(self.values.get("name") or default_name(self.source) or "")

    @property
    def source(self) -> str:
        return str(self.values.get("source") or "")

    @property
    def target(self) -> str:
        return str(self.values.get("target") or "")


class Edit(models.Model):
    """One edit of a draft: who, when, what in words, and the values before and after, so that it can be undone.

    changes: {"table": id or null for the mapping itself, "before": values or null, "after": values or null}.
    """

    mapping = models.ForeignKey(Mapping, on_delete=models.CASCADE, related_name="edits")
    version = models.PositiveIntegerField()
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    made = models.DateTimeField(auto_now_add=True)
    text = models.CharField(max_length=200)
    changes = models.JSONField()
    undone = models.BooleanField(default=False)

    class Meta:
        ordering = ["mapping", "version"]
        constraints = [
            models.UniqueConstraint(fields=["mapping", "version"], name="edits_are_one_after_another")
        ]

    def __str__(self) -> str:
        return self.text


class Visit(models.Model):
    """Somebody at a mapping's page: when it last asked for news, and the environment chosen to be looked at there."""

    mapping = models.ForeignKey(Mapping, on_delete=models.CASCADE, related_name="visits")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    seen = models.DateTimeField()
    environment = models.ForeignKey(
        Environment, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["mapping", "user"], name="one_visit_each")]

    def __str__(self) -> str:
        return f"{self.user} at {self.mapping}"


class RevisionIsFrozen(Exception):
    """A revision is never edited: save the changed mapping as a new revision."""


class Revision(models.Model):
    """A mapping frozen: its canonical JSON and what it follows. A trigger in the database refuses updates."""

    mapping = models.ForeignKey(Mapping, on_delete=models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField()
    # Text and not JSON: the sha256 is taken of these very bytes.
    canonical = models.TextField("canonical JSON")
    sha256 = models.CharField("SHA-256", max_length=64)
    parent_sha256 = models.CharField("parent's SHA-256", max_length=64, blank=True, default="")
    # PROTECT, because forgetting the author would be an edit.
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    note = models.TextField(blank=True, default="")
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["mapping", "number"]
        constraints = [
            models.UniqueConstraint(fields=["mapping", "number"], name="revision_numbers_are_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.mapping} revision {self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise RevisionIsFrozen(f"{self} is frozen; save the changed mapping as a new revision.")
        super().save(*args, **kwargs)
