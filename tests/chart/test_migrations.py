"""The Job that brings the database to the schema of this version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from deploy.artifacts.chart_readme import CHART
from tests.chart.manifest_files import Object, container, env, pod_spec
from tests.chart.rendering import render

_EXTERNAL = {
    "postgresql": {"enabled": False},
    "externalDatabase": {"host": "db.example.com", "existingSecret": "db"},
}


def _job(values: Mapping[str, Any] | None = None, *, upgrade: bool = False) -> Object:
    return render(values, upgrade=upgrade).one("Job")


def _hook(job: Object) -> str | None:
    found: str | None = (job["metadata"].get("annotations") or {}).get("helm.sh/hook")
    return found


@pytest.mark.parametrize(
    ("values", "upgrade", "hook"),
    [
        ({}, False, None),
        # Without a cluster nobody knows whether the server runs; test_lookups.py has the rest.
        ({}, True, None),
        (_EXTERNAL, False, "pre-install,pre-upgrade"),
        (_EXTERNAL, True, "pre-install,pre-upgrade"),
        (_EXTERNAL | {"migrations": {"useHelmHooks": False}}, False, None),
        ({"migrations": {"useHelmHooks": False}}, True, None),
    ],
    ids=["bundled", "bundled-upgrade", "external", "external-upgrade", "no-hooks", "no-hooks-upgrade"],
)
def test_it_is_a_hook_as_soon_as_its_database_is_there_before_the_release(
    values: Mapping[str, Any], hook: str | None, *, upgrade: bool
) -> None:
    assert _hook(_job(values, upgrade=upgrade)) == hook


def test_a_hook_that_failed_is_kept_until_the_next_one() -> None:
    annotations = _job(_EXTERNAL)["metadata"]["annotations"]
    assert annotations["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"


def test_the_name_of_a_plain_job_changes_with_what_it_runs() -> None:
    names = [_job(values)["metadata"]["name"] for values in ({}, {"web": {"replicas": 4}}, {"image": {"tag": "0.2.0"}})]
    assert names[0] == names[1] != names[2]
    assert names[0].startswith("demo-marketplace-migrations-")


def test_it_upgrades_and_waits_for_a_server_that_starts_beside_it() -> None:
    job = _job({"migrations": {"activeDeadlineSeconds": 600, "backoffLimit": 1, "ttlSecondsAfterFinished": 60}})
    assert container(job)["args"] == ["db", "upgrade", "--wait-seconds", "300"]
    assert {key: job["spec"][key] for key in ("activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished")} == {
        "activeDeadlineSeconds": 600,
        "backoffLimit": 1,
        "ttlSecondsAfterFinished": 60,
    }


def test_a_plain_job_stays_unless_told_otherwise() -> None:
    # Argo CD takes one that has gone for a difference.
    assert "ttlSecondsAfterFinished" not in _job()["spec"]


def test_a_hook_uses_no_service_account_of_the_release() -> None:
    assert "serviceAccountName" not in pod_spec(_job(_EXTERNAL))


def test_it_knows_the_database_and_nothing_else() -> None:
    variables = {"extraEnv": [{"name": "MARKETPLACE_DATABASE__POOL_SIZE", "value": 2}, {"name": "OTHER", "value": "x"}]}
    found = env(_job(_EXTERNAL | variables))
    assert set(found) == {
        "HOME",
        "MARKETPLACE_DATABASE__URL",
        "MARKETPLACE_DATABASE__PASSWORD_FILE",
        "MARKETPLACE_DATABASE__POOL_SIZE",
    }
    assert "envFrom" not in container(_job(_EXTERNAL))


def test_it_can_be_left_to_the_user() -> None:
    assert render({"migrations": {"enabled": False}}).of("Job") == ()


def test_upgrading_names_what_helm_does_not_do_by_itself() -> None:
    text = (CHART / "UPGRADING.md").read_text(encoding="utf-8")
    assert all(
        word in text for word in ("--reset-then-reuse-values", "migrations.useHelmHooks: false", "helm rollback")
    )
