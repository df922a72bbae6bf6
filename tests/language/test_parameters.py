"""Values that stand with the environment."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.test import Client

from jobs.actions import runs as actions
from mappings.language.file import parse
from mappings.models import Environment
from mappings.problems import Refused
from tests.language.feature import Feature

HEADING = "Values that differ from one environment to the next"


def test_one_revision_runs_with_the_values_of_its_environment(feature: Feature, admin_client: Client) -> None:
    feature.given_recipe(HEADING)
    name, revision = feature.environment.name, feature.mapping.latest_revision
    assert feature.blockers() == "\n".join(
        f"params: the parameter {one} has no value in environment {name}; give it one on the environment's page or"
        f" with `environment set {name} --param {one}=VALUE`"
        for one in ("tenant", "default_owner")
    )
    call_command("environment", "set", name, "--param", "tenant=8", "--param", "default_owner=it's me")
    feature.environment.refresh_from_db()
    plan = feature.plan()
    assert [(one.name, one.value) for one in plan.parameters] == [
        ("tenant", "8"),
        ("default_owner", "it's me"),
    ]
    feature.undo(feature.brings({"SELECT id, owner FROM account": [(2, "it's me")]}))
    page = f"/admin/mappings/environment/{feature.environment.pk}/change/"
    assert "tenant = 8" in admin_client.get(page).content.decode()
    reviewed = actions.quick_review(feature.mapping, feature.environment, [])
    seen = admin_client.get(page).context["adminform"].form.initial["seen"]
    form = {"name": name, "seen": seen, "parameters": "tenant = 7\ndefault_owner =\n", "after": ""}
    assert (
        admin_client.post(page, {**form, "parameters": "tenant"}).status_code == 200
    )  # no value: said on the page
    assert admin_client.post(page, form).status_code == 302
    feature.environment = Environment.objects.get(name=name)
    reviewed.environment = feature.environment
    with pytest.raises(
        Refused, match="the value of the parameter tenant was 8 when the plan was made, and is 7 now"
    ):
        actions.start(feature.mapping, feature.environment, None, reviewed=reviewed)
    run = feature.check({"SELECT id, owner FROM account ORDER BY id": [(1, "ada"), (3, "")]})
    assert feature.mapping.latest_revision == revision == run.revision


def test_what_is_no_parameter_is_refused_where_it_stands() -> None:
    with pytest.raises(Refused) as refused:
        parse(
            "version: 1\nname: m\nparams: [tenant, tenant, 2nd]\ntables:\n"
            "  - {source: a, target: b, where: 'x[:n] = :owner', columns: {c: {expr: ':tenant'}, d: {expr: 'a[1:b]'}}}"
        )
    assert [str(problem) for problem in refused.value.problems] == [
        'params[1]: "tenant" is listed twice.',
        "params[2]: Must be a name of small letters, digits and underscores, no digit first; expressions say :name.",
        "tables[0].where: :owner is no parameter of this mapping; list owner under params.",
    ]
