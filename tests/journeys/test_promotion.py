"""A mapping goes local -> staging -> production by the rules, and no way around them is open."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from psycopg.conninfo import conninfo_to_dict
from pytest_django import Settings

from jobs.actions import reviews
from jobs.actions import runs as actions
from jobs.models import Report, Run
from jobs.pages.review import review_of
from mappings.models import Environment, Mapping, Revision
from mappings.planning.planner import gated
from tests.conftest import Databases, Pair
from tests.journeys.world import execute, fresh, work

SOURCE = """
CREATE SCHEMA legacy;
CREATE TABLE legacy.item (id integer PRIMARY KEY, label text, kind text);
INSERT INTO legacy.item SELECT n, repeat('x', n), 'k' FROM generate_series(1, 30) n;
CREATE TABLE legacy.part (id integer PRIMARY KEY, item integer);
INSERT INTO legacy.part SELECT n, n FROM generate_series(1, 10) n;
"""
TARGET = """
CREATE SCHEMA crm;
CREATE TABLE crm.thing (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, label varchar(20), kind text);
CREATE TABLE crm.piece (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, thing bigint REFERENCES crm.thing);
"""
MAPPING = """
version: 1
name: things
tables:
  - {source: legacy.item, target: crm.thing, columns: {label: label}}
  - {source: legacy.part, target: crm.piece, columns: {thing: {from: item, ref: item}}}
"""
NAMES = ("local", "staging", "production")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def manage(*arguments: str) -> Ended:
    out, err = io.StringIO(), io.StringIO()
    code = 0
    try:
        call_command(*arguments, stdout=out, stderr=err, no_color=True)
    except SystemExit as ended:
        assert isinstance(ended.code, int)
        code = ended.code
    return Ended(code, out.getvalue(), err.getvalue())


class Chain:
    """Environments, one behind the other, each with databases of its own and the same schema."""

    def __init__(self, new_pair: Callable[[], Pair], folder: Path, names: tuple[str, ...]) -> None:
        self.new_pair, self.folder = new_pair, folder
        self.pairs: dict[str, Pair] = {}
        for before, name in zip((None, *names), names, strict=False):
            assert self.set(name, self.filled(), before).code == 0

    def filled(self) -> Pair:
        """A new pair of databases with the tables."""
        pair = self.new_pair()
        execute(pair.source, SOURCE)
        execute(pair.target, TARGET)
        return pair

    def set(self, name: str, pair: Pair, after: str | None = None) -> Ended:
        """The environment by the command; remembers the databases if it is accepted."""
        option = ("--after", after) if after is not None else ()
        ended = manage("environment", "set", name, "--source", pair.source, "--target", pair.target, *option)
        if ended.code == 0:
            self.pairs[name] = pair
        return ended

    def target(self, name: str, statements: str) -> list[tuple[object, ...]]:
        return execute(self.pairs[name].target, statements)

    def load(self, text: str = MAPPING) -> Revision:
        path = self.folder / "things.yml"
        path.write_text(text)
        assert manage("mapping", "load", str(path)).code == 0
        return Revision.objects.latest("id")

    def run(self, name: str, *options: str) -> Run:
        """A run that is started and verified."""
        ended = manage("run", "start", "things", "--env", name, *options)
        assert (ended.code, ended.err.count("\n")) == (0, 1), ended.err  # no worker: this process is one
        run = work(Run.objects.latest("id"))
        assert run.status == "verified"
        return run

    def refusal(self, name: str, *options: str) -> str:
        """Why a run cannot be started: one sentence, exit status 2, and nothing is changed. The plan says the same."""
        runs = Run.objects.count()
        ended = manage("run", "start", "things", "--env", name, *options)
        *_, sentence = ended.err.splitlines()
        assert (ended.code, ended.out, Run.objects.count()) == (2, "", runs)
        if not options:
            planned = manage("mapping", "plan", "things", "--env", name)
            assert (planned.code, planned.err.splitlines()) == (2, [sentence])
        return sentence.removeprefix("environment: ")


@pytest.fixture
def chain(databases: Databases, tmp_path: Path) -> Chain:
    """Production behind staging, and the mapping."""
    made = Chain(lambda: databases.pair("two"), tmp_path, NAMES[1:])
    made.load()
    return made


@pytest.fixture
def whole(databases: Databases, tmp_path: Path) -> Chain:
    """All three, and the mapping."""
    made = Chain(lambda: databases.pair("two"), tmp_path, NAMES)
    made.load()
    return made


def named(number: int = 1) -> str:
    revision = Revision.objects.get(number=number)
    return f"revision {number} ({revision.sha256[:8]}) of things"


def test_from_local_to_production_by_the_rules(whole: Chain) -> None:
    assert whole.refusal("production") == (
        f"{named()} has to be verified in staging first; things was never run there"
    )
    assert whole.refusal("staging") == (
        f"{named()} has to be verified in local first; things was never run there"
    )
    export = ("mapping", "export", "things", "--env", "staging", "--format", "psql", "--output")
    ended = manage(*export, str(whole.folder / "export"))  # nor by hand
    assert (ended.code, ended.err.count("has to be verified in local first")) == (2, 1)
    runs = [whole.run(name) for name in NAMES]
    assert len({run.fingerprint for run in runs}) == 1
    for name in NAMES:
        assert whole.target(name, "SELECT count(*), bool_and(is_migrated) FROM crm.thing") == [(30, True)]
    # A catch-up in production needs nothing new while the proof is fresh, though all have our columns by now.
    assert whole.run("production").fingerprint == runs[0].fingerprint


def test_a_plan_that_is_looked_at_again_says_what_is_missing_now(chain: Chain) -> None:
    production = Environment.objects.get(name="production")
    plan = actions.review(Mapping.objects.get(), production)
    assert gated(plan, production).blockers == plan.blockers != ()
    chain.run("staging")
    assert gated(plan, production).blockers == ()


def test_a_review_that_took_long_says_what_is_missing_now(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reviews, "QUICK", 0.0)
    mapping, production = Mapping.objects.get(), Environment.objects.get(name="production")
    assert review_of(mapping, production, ()).is_live
    reviews.work("tester")
    blocked = review_of(mapping, production, ())
    assert blocked.plan and [problem.path for problem in blocked.plan.blockers] == ["environment"]
    chain.run("staging")
    review = review_of(mapping, production, ())
    assert (review.made, review.plan and review.plan.blockers) == (blocked.made, ())
    assert work(actions.start(mapping, production, None, None, review.made)).status == "verified"


def test_an_environment_that_comes_after_none_needs_nothing(chain: Chain) -> None:
    assert (
        manage("environment", "set", "production", *addresses(chain.pairs["production"]), "--after", "").code
        == 0
    )
    chain.run("production")


def addresses(pair: Pair) -> tuple[str, ...]:
    return ("--source", pair.source, "--target", pair.target)


def test_setting_an_environment_again_takes_no_rule_away(chain: Chain) -> None:
    ended = manage("environment", "set", "production", *addresses(chain.pairs["production"]))
    assert (ended.code, ended.out.endswith(", after staging.\n")) == (0, True)
    assert "has to be verified in staging first" in chain.refusal("production")


def test_another_revision_proves_nothing_for_this_one(chain: Chain) -> None:
    run = chain.run("staging")
    chain.load(MAPPING.replace("label: label", "label: kind"))
    assert chain.refusal("production") == (
        f"{named(2)} has to be verified in staging first; the last run there, {run.pk}, was of another revision"
        f" ({named(1)[12:20]})"
    )
    # The same content again has the same SHA-256, and that was proved.
    chain.load()
    chain.run("production")


def test_a_revision_that_was_edited_past_the_application_is_refused(chain: Chain) -> None:
    chain.run("staging")
    revision = Revision.objects.get()
    changed = revision.canonical.replace('"from":"label"', '"from":"kind"')
    assert changed != revision.canonical
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE mappings_revision DISABLE TRIGGER revision_is_frozen")
        try:
            cursor.execute("UPDATE mappings_revision SET canonical = %s", [changed])
        finally:
            cursor.execute("ALTER TABLE mappings_revision ENABLE TRIGGER revision_is_frozen")
    assert chain.refusal("production") == (
        "things revision 1 was altered after it was frozen: its SHA-256 does not match."
    )
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE mappings_revision DISABLE TRIGGER revision_is_frozen")
        try:
            cursor.execute(
                "UPDATE mappings_revision SET sha256 = encode(sha256(convert_to(canonical, 'UTF8')), 'hex')"
            )
        finally:
            cursor.execute("ALTER TABLE mappings_revision ENABLE TRIGGER revision_is_frozen")
    assert "was of another revision" in chain.refusal("production")


def test_a_run_that_was_not_verified_proves_nothing(chain: Chain) -> None:
    run = chain.run("staging")
    chain.target("staging", "UPDATE crm.thing SET label = 'changed' WHERE id = 3")
    assert manage("run", "verify", str(run.pk)).code == 0
    assert f"run {run.pk} there is verifying, not verified" in chain.refusal("production")
    assert work(run).status == "mismatch"
    assert chain.refusal("production") == (
        f"{named()} has to be verified in staging first; run {run.pk} there is mismatch, not verified"
    )
    actions.roll_back(fresh(run), None, force=True)
    assert work(run).status == "rolled_back"
    assert f"run {run.pk} there is rolled back, not verified" in chain.refusal("production")


def test_a_verified_run_that_was_rolled_back_is_a_proof(chain: Chain) -> None:
    run = chain.run("staging")
    actions.roll_back(fresh(run), None)
    assert work(run).status == "rolled_back"
    chain.run("production")


def test_an_old_verification_proves_nothing_until_it_is_repeated(chain: Chain, settings: Settings) -> None:
    run = chain.run("staging")
    Report.objects.filter(run=run).update(created=timezone.now() - timedelta(days=14, hours=1))
    assert chain.refusal("production") == (
        f"{named()} has to be verified in staging first;"
        f" its verification there is 14 days old, and counts for 14 (verify run {run.pk} again)"
    )
    settings.PROMOTION_DAYS = 15
    assert manage("mapping", "plan", "things", "--env", "production").code == 0
    settings.PROMOTION_DAYS = 14
    actions.verify(fresh(run), None)
    work(run)
    chain.run("production")


def test_tables_of_another_structure_are_told_apart(whole: Chain) -> None:
    whole.run("local")
    run = whole.run("staging")
    whole.target(
        "production", "ALTER TABLE crm.thing ALTER COLUMN label TYPE varchar(25), ADD COLUMN note text"
    )
    assert whole.refusal("production") == (
        f"the tables are not as they were in staging in run {run.pk}:"
        " target crm.thing, column label: was character varying(20), is character varying(25);"
        " target crm.thing, column note: was not there, is text"
    )
    whole.target("staging", "ALTER TABLE crm.thing ADD COLUMN note text")
    whole.target("production", "ALTER TABLE crm.thing ALTER COLUMN label TYPE varchar(20)")
    assert "column note: was not there, is text" in whole.refusal("production")
    assert "the tables are not as they were in local" in whole.refusal("staging")
    whole.target("local", "ALTER TABLE crm.thing ADD COLUMN note text")
    for name in NAMES:
        whole.run(name)


def test_some_tables_prove_nothing_for_the_others(chain: Chain) -> None:
    chain.run("staging", "--tables", "item")
    assert chain.refusal("production") == (
        f"{named()} was verified in staging without part; run it there with all tables first"
    )
    chain.run("production", "--tables", "item")
    chain.run("staging", "--tables", "part")
    chain.run("production")


def test_two_environments_of_a_chain_cannot_lead_to_one_target(chain: Chain) -> None:
    sentence = "production and staging lead to the same target database; neither can stand for the other"
    staging = chain.pairs["staging"]
    other_words = Pair(*(url.replace("127.0.0.1", "localhost") for url in staging))
    assert other_words != staging
    ended = chain.set("production", other_words, "staging")
    assert (ended.code, ended.err) == (2, f"{sentence}\n")
    assert chain.set("new", staging, "production").code == 2
    assert chain.set("free", staging).code == 0  # no test for anyone
    chain.run("staging")
    production = Environment.objects.get(name="production")  # past the command
    production.source_url, production.target_url = other_words
    production.save()
    assert chain.refusal("production") == sentence


def test_other_databases_behind_the_same_label_lose_their_proofs(chain: Chain) -> None:
    run = chain.run("staging")
    chain.set("staging", chain.filled())
    assert chain.refusal("production") == (
        f"{named()} has to be verified in staging first; staging leads to other databases now than in run {run.pk}"
    )
    told = manage("mapping", "plan", "things", "--env", "staging").out
    assert f"staging leads to other databases than in run {run.pk}; what was verified in those" in told
    again = chain.run("staging")
    assert [event.text for event in again.events.filter(level="warning")] == [
        f"staging leads to other databases than in run {run.pk};"
        " what was verified in those does not count any more"
    ]
    chain.run("production")


def test_a_database_that_was_restored_under_its_name_is_still_the_same(
    chain: Chain, databases: Databases
) -> None:
    chain.run("staging")
    name = conninfo_to_dict(chain.pairs["staging"].target)["dbname"]
    admin = databases.server.url("postgres")
    execute(admin, f"DROP DATABASE {name} WITH (FORCE)")
    execute(admin, f"CREATE DATABASE {name} TEMPLATE template0")
    chain.run("production")


def test_an_environment_that_does_not_answer_keeps_its_proofs(chain: Chain) -> None:
    chain.run("staging")
    staging = Environment.objects.get(name="staging")
    staging.target_url = "postgresql://nobody@127.0.0.1:1/nothing"
    staging.save()
    chain.run("production")
