"""Django's forms and admin pages, told which model they are of: `ModelForm[Mapping]`.

Only type checkers know them as generic; when the program runs, the brackets change nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from django import forms
from django.contrib import admin
from django.db.models import Model

__all__ = ["ModelAdmin", "ModelForm"]

AnyModel = TypeVar("AnyModel", bound=Model)

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.forms import ModelForm
else:

    class Subscriptable:
        def __class_getitem__(cls, models):
            return cls

    class ModelForm(Subscriptable, forms.ModelForm):
        pass

    class ModelAdmin(Subscriptable, admin.ModelAdmin):
        pass
