"""Form fields that speak the language of the mapping file, and inputs that offer what there is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import ProhibitNullCharactersValidator
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from mappings.language.file import plain_scalar


class OfferingInput(forms.TextInput):
    """A text input that offers the entries of a datalist; `lists` are written out after it, by their id."""

    def __init__(self, offer: str = "", lists: Mapping[str, Iterable[str]] | None = None) -> None:
        super().__init__(attrs={"list": offer, "autocomplete": "off"} if offer else {})
        self.lists = lists or {}

    def render(self, *args: Any, **kwargs: Any) -> SafeString:
        rows = ((key, format_html_join("", '<option value="{}">', ((item,) for item in items)))
                for key, items in self.lists.items())  # fmt: skip
        return format_html(
            "{}{}",
            super().render(*args, **kwargs),
            format_html_join("", '<datalist id="{}">{}</datalist>', rows),
        )


class TypedText(forms.Field):
    """A field that is typed in as a text and means something else."""

    default_validators = [ProhibitNullCharactersValidator()]

    def typed(self, value: object) -> str:
        """What was typed, without the blanks around it."""
        return "" if value in self.empty_values else str(value).strip()

    def unlike(self, initial: object, data: object) -> bool:
        """Whether what was typed means something else than `initial`; what means nothing does."""
        try:
            return bool(self.to_python(data) != initial)
        except ValidationError:
            return True


class NameList(TypedText):
    """A list of names, one a line, or with commas between where the input has one line (inputs drop line breaks).

    As a JSON list where a name is itself unusual.
    """

    def __init__(self, *, one_line: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.one_line = one_line

    def prepare_value(self, value: object) -> object:
        if not isinstance(value, list):
            return value
        unusual = any(
            not name
            or name != name.strip()
            or name.startswith("[")
            or "\n" in name
            or (self.one_line and "," in name)
            for name in value
        )
        between = ", " if self.one_line else "\n"
        return json.dumps(value, ensure_ascii=False) if unusual else between.join(value)

    def names(self, value: object) -> list[str]:
        text = self.typed(value)
        if not text.startswith("["):
            parts = text.split(",") if self.one_line else text.splitlines()
            return [part.strip() for part in parts if part.strip()]
        try:
            names = json.loads(text)
        except ValueError:
            names = None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            how = "names with commas between" if self.one_line else "one name a line"
            raise ValidationError(f'Write {how}, or a JSON list such as ["a", "b"].')
        return names


class NamesField(NameList):
    """A list of names; empty for none."""

    def to_python(self, value: object) -> list[str]:
        return self.names(value)

    def has_changed(self, initial: object, data: object) -> bool:
        return self.unlike(initial or [], data)


class SourceIdField(NameList):
    """The source id's columns: empty for the default names (None), the word false for none ([])."""

    def prepare_value(self, value: object) -> object:
        if value == ["false"]:
            return '["false"]'
        return "false" if value == [] else super().prepare_value(value)

    def to_python(self, value: object) -> list[str] | None:
        return [] if self.typed(value) == "false" else self.names(value) or None

    def has_changed(self, initial: object, data: object) -> bool:
        return self.unlike(initial, data)


class ConstantField(TypedText):
    """A constant as in the file: legacy, 12, true, null, "12" for a text, [..] and {..} as JSON.

    The cleaned value is (is there a constant, the constant).
    """

    def prepare_value(self, value: object) -> object:
        return constant_text(*value) if isinstance(value, tuple) else value

    def to_python(self, value: object) -> tuple[bool, object]:
        text = self.typed(value)
        if not text:
            return False, None
        if text[0] not in '"[{':
            scalar = plain_scalar(text)
            return True, str(scalar) if isinstance(scalar, str) else scalar
        try:
            return True, json.loads(text)
        except ValueError:
            raise ValidationError('What begins with ", [ or { must be JSON.') from None

    def has_changed(self, initial: object, data: object) -> bool:
        return self.unlike(initial or (False, None), data)


def constant_text(has_value: bool, value: object) -> str:
    """What to write in a ConstantField to get this constant."""
    if not has_value:
        return ""
    return value if isinstance(value, str) and _is_plain(value) else json.dumps(value, ensure_ascii=False)


def _is_plain(text: str) -> bool:
    """Whether the text can stand as it is: it would not be read as a number, a word of YAML's or JSON."""
    stands_alone = text == text.strip() and text[:1] not in ("", '"', "[", "{") and "\n" not in text
    return stands_alone and isinstance(plain_scalar(text), str)
