"""`manage.py notices list|set|webhook|retry`: who is told of what, and what was told."""

from __future__ import annotations

import sys
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandParser

from jobs.history.chain import moment
from jobs.history.record import About, record
from jobs.models import Notice, Webhook
from jobs.models.notices import EVENTS, GIVEN_UP, WAYS
from jobs.notices import deliver, wishes
from jobs.notices.addresses import parsed
from jobs.notices.failures import Undelivered
from mappings.management.given import WAYS as GIVEN_BY
from mappings.management.given import given
from mappings.management.listing import add_listing, whole, write_json
from mappings.management.refusing import RefusingCommand, named
from mappings.models import Environment
from mappings.problems import Problem, Refused

LISTED = 50


class Command(RefusingCommand):
    help = "List what was told, set who is told of what by which way, set webhooks, try again."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        show = actions.add_parser("list", help="what was told, or has to be, newest first")
        add_listing(show, "NOTICE", whole, f"; {LISTED} by default")
        show.add_argument("--state", choices=Notice.STATES)
        show.set_defaults(run=self.list)
        wish = actions.add_parser(
            "set", help="what somebody wants to be told, in an environment or in every one"
        )
        wish.add_argument("user", metavar="ACCOUNT")
        wish.add_argument("--env", metavar="ENV", help="only there; else in every environment")
        wish.add_argument("--events", required=True, help=f"some of {','.join(EVENTS)}; '' for none")
        wish.add_argument("--ways", required=True, help=f"some of {','.join(WAYS)}; '' for none")
        wish.set_defaults(run=self.set)
        hook = actions.add_parser("webhook", help="set a webhook, or take it away")
        hook.add_argument("name", metavar="NAME")
        hook.add_argument("--url", metavar="URL", help=f"where it leads, or {GIVEN_BY}")
        hook.add_argument("--secret", metavar="FROM", help=f"what signs it: {GIVEN_BY}; a new one gets one")
        hook.add_argument("--env", metavar="ENV", help="only of that environment; else of every one")
        hook.add_argument("--events", default=",".join(EVENTS), help="which; all by default")
        hook.add_argument("--delete", action="store_true")
        hook.set_defaults(run=self.webhook)
        again = actions.add_parser("retry", help="try a notice again that was given up")
        again.add_argument("notice", type=whole)
        again.set_defaults(run=self.retry)

    def list(self, options: dict[str, Any]) -> None:
        notices = Notice.objects.select_related("user", "webhook").order_by("-pk")
        if options["state"]:
            notices = notices.filter(state=options["state"])
        if options["after"] is not None:
            notices = notices.filter(pk__lt=options["after"])
        rows = (_row(notice) for notice in notices[: options["limit"] or LISTED])
        if options["format"] == "json":
            write_json(rows, self.stdout)
            return
        for row in rows:
            error = f": {row['error']}" if row["error"] else ""
            whom = f"{row['receiver']} by {row['way']}"
            self.stdout.write(
                f"{row['notice']:>6}  {row['created']}  {row['title']}  {whom}  {row['state']}{error}"
            )

    def set(self, options: dict[str, Any]) -> None:
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise Refused([Problem("", f"There is no account called {options['user']}.")])
        place = named(Environment, options["env"]) if options["env"] else None
        events, ways = _some("--events", options["events"], EVENTS), _some("--ways", options["ways"], WAYS)
        rows = {row.key: (row.events, row.ways) for row in wishes.rows_of(user)}
        wishes.save(user, {**rows, str(place.pk) if place else "all": (tuple(events), tuple(ways))})
        self.stdout.write(f"{user} is told of {', '.join(events) or 'nothing'} in {place or wishes.EVERY}.")

    def webhook(self, options: dict[str, Any]) -> None:
        hook = Webhook.objects.filter(name=options["name"]).first() or Webhook(name=options["name"])
        if options["delete"]:
            _delete(hook)
            self.stdout.write(f"Webhook {hook} is taken away.")
            return
        is_new = hook.pk is None
        _set_address(hook, options["url"])
        hook.environment = named(Environment, options["env"]) if options["env"] else None
        hook.events = _some("--events", options["events"], EVENTS)
        secret = given("--secret", options["secret"], sys.stdin) if options["secret"] else ""
        if not secret and is_new:
            secret = Webhook.new_secret()
            self.stdout.write(f"Its secret, which is not shown again: {secret}")
        if secret:
            hook.secret = secret
        hook.full_clean()
        hook.save()
        about = About(subject=hook.name, environment=hook.environment.name if hook.environment else "")
        record("notice", f"webhook {'made' if is_new else 'changed'}", f"leads to {hook.host}", about)
        self.stdout.write(f"Webhook {hook} is saved: it leads to {hook.host}.")

    def retry(self, options: dict[str, Any]) -> None:
        notice = Notice.objects.filter(pk=options["notice"], state=GIVEN_UP).first()
        if notice is None:
            raise Refused([Problem("", f"There is no notice {options['notice']} that was given up.")])
        deliver.try_again(notice)
        self.stdout.write(f"Notice {notice.pk} is tried again.")


def _delete(hook: Webhook) -> None:
    if hook.pk is None:
        raise Refused([Problem("", f"There is no webhook called {hook.name}.")])
    record("notice", "webhook deleted", about=About(subject=hook.name))
    hook.delete()


def _set_address(hook: Webhook, option: str | None) -> None:
    if option is None and hook.pk is None:
        raise Refused([Problem("--url", "a new webhook needs its address")])
    if option is None:
        return
    url = given("--url", option, sys.stdin)
    try:
        parsed(url)
    except Undelivered as error:
        raise Refused([Problem("--url", str(error))]) from error
    hook.url = url


def _some(option: str, text: str, names: dict[str, str]) -> list[str]:
    """Some of these names, commas between. Refused for others."""
    chosen = [part.strip() for part in text.split(",") if part.strip()]
    unknown = [name for name in chosen if name not in names]
    if unknown:
        raise Refused([Problem(option, f"{', '.join(unknown)}: known are {', '.join(names)}")])
    return chosen


def _row(notice: Notice) -> dict[str, Any]:
    return {
        "notice": notice.pk, "created": moment(notice.created)[:19] + "Z", "event": notice.event,
        "title": notice.title, "way": notice.way, "receiver": notice.receiver, "state": notice.state,
        "attempts": notice.attempts, "error": notice.error,
    }  # fmt: skip
