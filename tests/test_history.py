"""The history: what is in it whoever did it and from where, what never is, and that no edit or gap stays hidden."""

from __future__ import annotations

import csv
import io
import json
import re
import threading
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.db.utils import IntegrityError
from django.test import Client

from jobs import transitions
from jobs.actions import runs
from jobs.history import chain
from jobs.history.record import About, record
from jobs.models import HistoryEntry, HistoryHead
from mappings.language.file import parse
from mappings.models import Environment
from mappings.problems import Refused
from mappings.store import save_spec
from tests import factories, many, plans
from tests.test_pages_at_size import all_parts, page, queries

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("seated")]

SECRET = "s3cr3t-w0rd"


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss", password=SECRET))
    return client


def told(**wanted: Any) -> list[tuple[str, str, str, str]]:
    """Of the entries that are so: who, from where, what, with what outcome."""
    found = HistoryEntry.objects.filter(**wanted).order_by("number")
    return list(found.values_list("actor", "way", "verb", "outcome"))


def command(*words: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command(*words, stdout=out, stderr=err)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def past_the_triggers(sql: str, *values: str | int) -> None:
    """As somebody with every right in the control database may do."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql, values)
        cursor.execute("SET LOCAL session_replication_role = origin")


# ---- what is in it


def test_what_is_done_to_a_run_is_there_with_its_names(boss: Client) -> None:
    run = factories.make_run("copying")
    boss.post(f"/runs/{run.pk}/pause/")
    with pytest.raises(SystemExit):
        call_command("run", "retry", str(run.pk), stderr=io.StringIO())
    assert told(run=run.pk) == [
        ("boss", "page", "pausing", "done"),
        (told(run=run.pk)[1][0], "command", "retry", "refused"),
    ]
    paused = HistoryEntry.objects.get(run=run.pk, verb="pausing")
    revision = run.revision
    assert (paused.mapping, paused.revision, paused.sha256) == ("crm-merge", revision.number, revision.sha256)
    assert (paused.environment, paused.place) == ("staging", f"POST /runs/{run.pk}/pause/")
    refused = HistoryEntry.objects.get(run=run.pk, verb="retry")
    assert refused.actor and "is pausing, not failed or mismatch or verified" in refused.text


def test_a_start_that_is_refused_names_mapping_revision_and_environment(boss: Client) -> None:
    run = factories.make_run("copying")
    user = User.objects.get(username="boss")
    with pytest.raises(Refused):
        runs.start(run.mapping, run.environment, user)
    entry = HistoryEntry.objects.get(verb="start")
    assert (entry.outcome, entry.actor, entry.mapping) == ("refused", "boss", "crm-merge")
    assert (entry.revision, entry.environment) == (run.revision.number, "staging")
    assert f"run {run.pk}" in entry.text


def test_environments_and_mappings_are_there_by_command_and_by_page(boss: Client) -> None:
    url = f"postgresql://mover:{SECRET}@db.internal:5432/"
    command("environment", "set", "prod", "--source", f"{url}old", "--target", f"{url}new")
    command("environment", "set", "prod", "--source", f"{url}old", "--target", f"{url}newer")
    changed = HistoryEntry.objects.get(environment="prod", verb="changed")
    assert changed.way == "command" and changed.text == (
        "target: db.internal:5432/new → db.internal:5432/newer"
    )
    with_other = url.replace(SECRET, "another-w0rd")
    command("environment", "set", "prod", "--source", f"{with_other}old", "--target", f"{url}newer")
    assert HistoryEntry.objects.first().text == "source: password changed"  # type: ignore[union-attr]
    mapping = save_spec(parse(plans.MAPPING), note="First").mapping
    boss.post(f"/admin/mappings/environment/{Environment.objects.get().pk}/delete/", {"post": "yes"})
    boss.post(f"/admin/mappings/mapping/{mapping.pk}/delete/", {"post": "yes"})
    assert told(environment="prod")[-1] == ("boss", "page", "deleted", "done")
    assert [entry[2] for entry in told(mapping="crm-merge")] == ["made", "revision saved", "deleted"]
    saved = HistoryEntry.objects.get(verb="revision saved")
    assert (saved.mapping, saved.revision, saved.text) == ("crm-merge", 1, "First")
    assert "prod" in page(boss, "/history/?env=prod")  # though there is no such environment any more


def test_accounts_and_rights_are_there(boss: Client) -> None:
    olga = User.objects.create_user("olga", password=SECRET)
    olga.user_permissions.add(Permission.objects.get(codename="change_run"))
    group = Group.objects.create(name="operators")
    group.user_set.add(olga)
    olga.is_staff, olga.email = True, "olga@example.org"
    olga.set_password("new-" + SECRET)
    olga.save()
    olga.groups.clear()
    User.objects.filter(username="olga").delete()
    said = list(HistoryEntry.objects.filter(subject="olga").order_by("number").values_list("verb", "text"))
    assert said == [
        ("made", ""),
        ("rights changed", "permissions given: jobs.change_run"),
        ("changed", "email:  → olga@example.org; is staff: False → True; password changed"),
        ("rights changed", "groups taken away: all of them"),
        ("deleted", ""),
    ]
    members = HistoryEntry.objects.get(subject="operators", verb="rights changed")
    assert members.text == "members given: olga"


def test_sign_ins_wrong_passwords_and_lockouts_are_there(client: Client) -> None:
    User.objects.create_user("olga", password=SECRET, is_staff=True)

    def sign_in(name: str, password: str) -> None:
        typed = {"username": name, "password": password}
        client.post("/admin/login/", typed, REMOTE_ADDR="10.0.0.7")

    sign_in("olga", SECRET)
    client.post("/admin/logout/")
    sign_in(SECRET, "a password in the field of the name")
    for _ in range(settings.AXES_FAILURE_LIMIT + 1):
        sign_in("olga", "wrong-" + SECRET)
    verbs = [verb for *_, verb, _ in told(kind="account", address="10.0.0.7")]
    assert verbs[0] == "signed in" and verbs[1] == "sign in"
    assert verbs.count("sign in, locked out") == 2 and verbs.count("sign in") == settings.AXES_FAILURE_LIMIT
    assert HistoryEntry.objects.get(verb="signed out").actor == "olga"
    assert HistoryEntry.objects.filter(subject="a name that no account has").count() == 1


def test_what_somebody_may_not_do_is_there(client: Client) -> None:
    client.force_login(factories.make_user("looker", operator=False))
    run = factories.make_run("copying")
    assert client.post(f"/runs/{run.pk}/cancel/").status_code == 403
    entry = HistoryEntry.objects.get(outcome="refused")
    assert (entry.actor, entry.kind, entry.verb) == ("looker", "request", "cancel")
    assert (entry.run, entry.mapping, entry.environment) == (run.pk, "crm-merge", "staging")


def test_nothing_secret_is_ever_in_it(boss: Client) -> None:
    test_environments_and_mappings_are_there_by_command_and_by_page(boss)
    test_accounts_and_rights_are_there(boss)
    test_sign_ins_wrong_passwords_and_lockouts_are_there(Client())
    everything = json.dumps(list(HistoryEntry.objects.values()), default=str)
    assert "olga" in everything and SECRET not in everything and "another-w0rd" not in everything
    assert "mover" not in everything


# ---- that it is whole


def test_an_entry_is_neither_changed_nor_deleted_nor_dated_by_who_adds_it() -> None:
    record("run", "started", "one")
    for sql in (
        "UPDATE jobs_historyentry SET text = 'two'",
        "DELETE FROM jobs_historyentry",
        "TRUNCATE jobs_historyentry",
        "UPDATE jobs_historyhead SET number = 7",
        "DELETE FROM jobs_historyhead",
        "TRUNCATE jobs_historyhead",
    ):
        with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
            connection.cursor().execute(sql)
    with connection.cursor() as cursor:
        values = (
            "kind, verb, outcome, actor, way, place, address, mapping, sha256, environment, subject, text"
        )
        cursor.execute(
            f"INSERT INTO jobs_historyentry (number, at, {values}, previous, hash)"
            " SELECT 1, '2001-01-01', 'run', 'x', 'done', '', 'page', '', '', '', '', '', '', '', 'x', 'x'"
        )
    assert chain.check()[1] == []
    assert not HistoryEntry.objects.filter(at__year=2001).exists()


WRONG = {
    "UPDATE jobs_historyentry SET actor = 'nobody' WHERE number = 3": "entry 3 was altered",
    "DELETE FROM jobs_historyentry WHERE number = 3": "entry 3 is missing",
    "DELETE FROM jobs_historyentry WHERE number IN (3, 4)": "entry 3 to 4 is missing",
    "DELETE FROM jobs_historyentry WHERE number > 4": "entry 5 up to 6, the last ones, are missing",
    "DELETE FROM jobs_historyhead": "the record of where the history ends is missing",
    # altered so that its own hash is right again: the next one does not follow it
    "UPDATE jobs_historyentry e SET text = 'other', hash = encode(sha256(convert_to(jsonb_build_array("
    "number, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), kind, verb, outcome, actor, way,"
    " place, address, mapping, revision, sha256, environment, run, subject, 'other', previous)::text, 'UTF8')), 'hex')"
    " WHERE number = 3": "entry 4 does not follow entry 3",
}


@pytest.mark.parametrize("sql", WRONG, ids=WRONG.values())
def test_an_edit_or_a_gap_is_found_and_told_where(sql: str, boss: Client) -> None:
    past_the_triggers("DELETE FROM jobs_historyentry")
    past_the_triggers("DELETE FROM jobs_historyhead")
    for text in ("one", "twö\n\"'\\ \t\x01", "three / 3", "four", "five ☃", "six"):
        record("run", "started", text, About("m", 1, "0" * 64, "local", 7))
    chain.watch()
    assert command("history", "check")[0] == 0
    assert "Checked" in page(boss, "/history/") and "is not whole" not in page(boss, "/history/")
    noted = "{0.number}:{0.hash}".format(HistoryEntry.objects.get(number=6))
    assert command("history", "check", "--head", noted)[0] == 0
    past_the_triggers("UPDATE jobs_historywatch SET looked_at = NULL")
    past_the_triggers(sql)
    code, _, said = command("history", "check")
    assert code == 3 and WRONG[sql] in said.lower()
    chain.watch()
    assert WRONG[sql].lower() in page(boss, "/history/").lower()
    record("run", "started", "what is done goes on")


def test_a_history_that_was_made_anew_is_known_by_what_was_noted() -> None:
    record("run", "started", "one")
    noted = "{0.number}:{0.hash}".format(HistoryEntry.objects.get())
    for table in ("jobs_historyentry", "jobs_historyhead"):
        past_the_triggers(f"DELETE FROM {table}")
    record("run", "started", "another")
    assert command("history", "check")[0] == 0
    code, _, said = command("history", "check", "--head", noted)
    assert code == 3 and noted in said


@pytest.mark.django_db(transaction=True)
def test_many_who_add_at_once_make_one_chain_and_a_rollback_leaves_no_gap() -> None:
    def add(name: str) -> None:
        for number in range(20):
            with transaction.atomic():
                record("run", "started", f"{name} {number}")
                transaction.set_rollback(number % 5 == 0)
        connections.close_all()

    threads = [threading.Thread(target=add, args=[name]) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert chain.check() == (64, [])
    assert list(HistoryEntry.objects.order_by("number").values_list("number", flat=True)) == list(
        range(1, 65)
    )
    assert HistoryHead.objects.get().number == 64


# ---- how it is looked at


def many_entries(count: int) -> None:
    for number in range(count):
        about = About(f"m-{number % 7}", 1, "0" * 64, ("local", "staging")[number % 2], number + 1)
        record(
            "run",
            "verified" if number % 3 else "failed",
            f"text {number}",
            about,
            ("done", "failed")[number % 3 == 0],
        )


def test_it_is_read_in_parts_and_filters_combine(boss: Client) -> None:
    many_entries(130)
    numbers = [str(n) for n in HistoryEntry.objects.values_list("number", flat=True)]
    entry = r'<tr id="entry-(\d+)"'
    assert all_parts(boss, "/history/", entry) == numbers
    asked = "kind=run&outcome=failed&env=staging&mapping=m-3"
    wanted = HistoryEntry.objects.filter(outcome="failed", environment="staging", mapping="m-3")
    assert all_parts(boss, f"/history/?{asked}", entry) == [str(one.number) for one in wanted] != []
    assert all_parts(boss, "/history/?q=text+12", entry) == [
        str(n) for n in HistoryEntry.objects.filter(text__contains="text 12").values_list("number", flat=True)
    ]
    assert all_parts(boss, "/history/?run=5", entry) == all_parts(
        boss, "/history/?run=5&since=2020-01-01", entry
    )
    assert all_parts(boss, "/history/?until=2020-01-01", entry) == []
    page(boss, "/history/?since=0001-01-01&until=9999-12-31&run=0&after=x")
    with queries() as asked_for:
        text = page(boss, "/history/")
    assert len(asked_for) <= 12 and len(text) < 100_000


def test_command_and_page_give_the_same(boss: Client) -> None:
    many_entries(60)
    code, out, err = command("history", "list", "--env", "staging", "--kind", "run")
    assert (code, len(out.splitlines())) == (0, 30)
    code, out, err = command("run", "history", "--limit", "10")
    older = re.search(r"--after (\d+)", err)
    assert len(out.splitlines()) == 10 and older
    rest = json.loads(command("history", "list", "--after", older[1], "--format", "json")[1])
    exported = json.loads(command("history", "export")[1])
    assert rest == exported[10:]
    assert all(chain.digest(one) == one["hash"] for one in exported)
    by_page = b"".join(boss.get("/history.json").streaming_content)  # type: ignore[attr-defined]
    assert json.loads(by_page) == exported
    code, _, said = command("history", "list", "--since", "yesterday")
    assert code == 2 and "write YYYY-MM-DD" in said


def test_the_csv_is_streamed_and_holds_no_formula(boss: Client) -> None:
    record("run", "started", '=HYPERLINK("http://evil")', About(mapping='a,b\n"c"'))
    answer = boss.get("/history.csv?kind=run")
    assert answer.streaming
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["text"], row["mapping"]) == ('\'=HYPERLINK("http://evil")', 'a,b\n"c"')


def test_sign_ins_are_for_those_who_may_see_accounts(client: Client) -> None:
    client.force_login(factories.make_user())
    record("run", "started", "a run", About(run=1))
    text = page(client, "/history/") + "".join(
        piece.decode()
        for piece in client.get("/history.csv").streaming_content  # type: ignore[attr-defined]
    )
    assert "a run" in text and "signed in" not in text


def test_names_stay_when_what_they_name_is_gone() -> None:
    environment, revisions = factories.make_environment("local"), many.make_mappings(1)
    (run,) = many.make_runs(1, revisions, [environment])
    transitions.note(run, "The run was started.", None, to_status="queued")
    run.delete()
    revisions[0].mapping.delete()
    environment.delete()
    entry = HistoryEntry.objects.get(verb="started")
    assert (entry.mapping, entry.environment, entry.revision) == ("m-00000", "local", 1)
