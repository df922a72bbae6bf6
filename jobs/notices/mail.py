"""Notices by e-mail, through Django's mail backend."""

from __future__ import annotations

from smtplib import SMTPException

from django.conf import settings
from django.core.mail import EmailMessage

from jobs.models import Notice
from jobs.notices.failures import Undeliverable, Undelivered


def is_set_up() -> bool:
    """Whether a mail server is named in the settings."""
    return bool(settings.EMAIL_HOST) or "smtp" not in settings.EMAIL_BACKEND


def send(notice: Notice) -> None:
    """Raises Undelivered."""
    user = notice.user
    if user is None or not user.email:
        raise Undeliverable("the account has no e-mail address")
    if not is_set_up():
        raise Undeliverable("no mail server is set: EMAIL_URL")
    body = f"{notice.text}\n\n{settings.PAGES_URL}{notice.path}\n"
    try:
        EmailMessage(f"[Migrator] {notice.title}", body, to=[user.email]).send()
    except (SMTPException, OSError, ValueError) as error:
        raise Undelivered(f"the mail server: {type(error).__name__}: {error}") from error
