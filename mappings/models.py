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


class MissingPolicy(models.TextChoices):
    """What happens to a reference whose parent was not migrated."""

    STOP = "stop", "stop the run"
    QUARANTINE = "quarantine", "set the row aside and go on"
    NULL = "null", "leave the reference NULL"


class Existing(models.TextChoices):
    """What happens to a row that is already in the target."""

    KEEP = "keep", "keep the target row and map the source row to it"
    UPDATE = "update", "overwrite the mapped columns"


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
    """One target table of a mapping and the source rows that fill it."""

    mapping = models.ForeignKey(Mapping, on_delete=models.CASCADE, related_name="tables")
    position = models.PositiveIntegerField(default=0, help_text="The order in the mapping file.")
    name = models.CharField(
        max_length=63, blank=True, help_text="What references point to. Empty: the source table's bare name."
    )
    source = models.TextField(
        help_text='The source table as in SQL: customer, legacy.customer, cd."Weird Name".'
    )
    alias = models.CharField(max_length=63, blank=True, help_text="Needed with joins.")
    joins = models.JSONField(
        default=list,
        blank=True,
        help_text="Other source tables that feed the same target row, with alias and condition.",
    )
    where = models.TextField(
        blank=True, help_text="Which source rows are meant, as an SQL condition. Empty: all."
    )
    key = models.JSONField(
        default=list, blank=True,
        help_text="The source key. Empty: the primary key. Any unique NOT NULL combination will do.",
    )  # fmt: skip
    key_is_content = models.BooleanField(
        "key is content", default=False,
        help_text="For tables without a key: identity is the row's content and its occurrence number.",
    )  # fmt: skip
    distinct = models.BooleanField(
        default=False,
        help_text="Many source rows with an equal key make one target row: the first by the order.",
    )
    order_by = models.TextField(
        "order by", blank=True, help_text="Which of several rows is the first, as in SQL."
    )
    target = models.TextField(help_text="The target table as in SQL.")
    existing_match = models.JSONField(
        "existing rows match on", default=list, blank=True,
        help_text="Target columns, or expressions over them, that tell that a row is already there.",
    )  # fmt: skip
    existing_then = models.CharField("existing rows", max_length=6, choices=Existing, blank=True)
    source_id = models.JSONField(
        "source id columns", null=True, blank=True,
        help_text="Columns added to the target for the source's key. Not set: default names; []: none.",
    )  # fmt: skip
    map_rows = models.BooleanField("rows in the migration map", default=True)
    backref = models.CharField(
        max_length=63,
        blank=True,
        help_text="A column added to the source table that receives the target's id.",
    )
    is_migrated = models.CharField(
        "flag column", max_length=63, blank=True, default="is_migrated",
        help_text="A boolean column added to the target. Empty: none.",
    )  # fmt: skip

    class Meta:
        ordering = ["mapping", "position", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(existing_then__in=["", *Existing.values]), name="existing_then_is_known"
            ),
            models.CheckConstraint(
                condition=Q(key_is_content=False) | Q(key=[]), name="key_is_content_or_columns"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name or self.source} → {self.target}"


class ColumnMapping(models.Model):
    """One target column and how it is filled: from source columns, an expression or a constant."""

    table = models.ForeignKey(TableMapping, on_delete=models.CASCADE, related_name="columns")
    position = models.PositiveIntegerField(default=0, help_text="The order in the mapping file.")
    name = models.CharField("target column", max_length=63)
    source_columns = models.JSONField("source column", default=list, blank=True)
    expr = models.TextField("expression", blank=True)
    has_value = models.BooleanField("is a constant", default=False)
    value = models.JSONField("constant", null=True, blank=True)
    lookup_table = models.TextField(blank=True)
    lookup_key = models.TextField(blank=True)
    lookup_value = models.TextField(blank=True)
    ref_table = models.CharField("reference to", max_length=63, blank=True)
    ref_column = models.CharField("referenced column", max_length=63, blank=True)
    missing = models.CharField("if the parent is missing", max_length=10, choices=MissingPolicy, blank=True)

    class Meta:
        ordering = ["table", "position", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["table", "name"], name="a_target_column_is_mapped_once"),
            models.CheckConstraint(
                condition=Q(missing__in=["", *MissingPolicy.values]), name="missing_is_known"
            ),
        ]

    def __str__(self) -> str:
        return self.name


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
