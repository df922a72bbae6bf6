"""Who is signed in: what people do is kept with their name."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest


def signed_in(request: HttpRequest) -> User:
    """The user of this request. PermissionDenied for nobody, whom the pages have sent to sign in before."""
    if not request.user.is_authenticated:
        raise PermissionDenied
    return request.user
