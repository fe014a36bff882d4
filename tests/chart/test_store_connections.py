"""How the roles reach the stores: with passwords from files, over TLS where the servers are elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from deploy.artifacts.terraform_readme import blocks
from tests.chart.manifest_files import Object, env, mounts, volumes
from tests.chart.rendering import render

_REDIS = {
    "valkey": {"enabled": False},
    "externalRedis": {
        "host": "redis.example.com",
        "port": 6380,
        "database": 2,
        "username": "jobs",
        "existingSecret": "redis-login",
        "passwordKey": "token",
        "tls": {"enabled": True, "caSecret": "redis-ca", "caKey": "root.pem"},
    },
}
_DATABASE = {
    "postgresql": {"enabled": False},
    "externalDatabase": {
        "host": "db.example.com",
        "port": 6432,
        "name": "tasks",
        "user": "jobs@shop +1",
        "existingSecret": "db-login",
        "passwordKey": "pass",
        "tls": {"mode": "verify-full", "caSecret": "db-ca", "caKey": "root.pem"},
    },
}


def _worker(values: Mapping[str, Any] | None = None) -> Object:
    return render(values).one("Deployment", "demo-marketplace-worker")


def test_roles_reach_the_bundled_stores_with_a_password_from_a_file() -> None:
    worker = _worker()
    variables = env(worker)
    assert variables["MARKETPLACE_REDIS__URL"] == "redis://demo-marketplace-valkey.ops.svc:6379/0"
    assert variables["MARKETPLACE_DATABASE__URL"].startswith(
        "postgresql://marketplace@demo-marketplace-postgresql.ops.svc:5432/marketplace?"
    )
    for kind in ("REDIS", "DATABASE"):
        path = variables[f"MARKETPLACE_{kind}__PASSWORD_FILE"]
        assert path == f"/etc/marketplace/{kind.lower()}/password"
        assert f"/etc/marketplace/{kind.lower()}" in mounts(worker)


def test_the_relay_gets_neither_store() -> None:
    relay = render().one("Deployment", "demo-marketplace-relay")
    assert not any("REDIS" in name or "DATABASE" in name for name in env(relay))
    assert not {"redis", "database"} & volumes(relay).keys()


def test_an_external_redis_is_reached_over_tls_with_user_and_password() -> None:
    worker = _worker(_REDIS)
    variables = env(worker)
    assert variables["MARKETPLACE_REDIS__URL"] == "rediss://redis.example.com:6380/2"
    assert variables["MARKETPLACE_REDIS__USERNAME"] == "jobs"
    assert variables["MARKETPLACE_REDIS__TLS_CA_FILE"] == "/etc/marketplace/redis-ca/ca.crt"
    assert volumes(worker)["redis"]["secret"]["items"] == [{"key": "token", "path": "password"}]
    assert volumes(worker)["redis-ca"]["secret"]["secretName"] == "redis-ca"
    assert volumes(worker)["redis-ca"]["secret"]["items"] == [{"key": "root.pem", "path": "ca.crt"}]
    assert not render(_REDIS).has("StatefulSet", "demo-marketplace-valkey")


def test_an_external_redis_without_a_password_has_no_file_of_it() -> None:
    plain = {"valkey": {"enabled": False}, "externalRedis": {"host": "fd00::7"}}
    worker = _worker(plain)
    assert env(worker)["MARKETPLACE_REDIS__URL"] == "redis://[fd00::7]:6379/0"
    assert "MARKETPLACE_REDIS__PASSWORD_FILE" not in env(worker)
    assert "redis" not in volumes(worker)


def test_an_external_database_is_reached_over_tls_that_checks_its_host() -> None:
    worker = _worker(_DATABASE)
    url = make_url(env(worker)["MARKETPLACE_DATABASE__URL"])
    assert (url.host, url.port, url.database, url.username) == ("db.example.com", 6432, "tasks", "jobs@shop +1")
    assert url.password is None
    assert dict(url.query) == {"sslmode": "verify-full", "sslrootcert": "/etc/marketplace/database-ca/ca.crt"}
    assert volumes(worker)["database"]["secret"]["secretName"] == "db-login"
    assert volumes(worker)["database-ca"]["secret"]["items"] == [{"key": "root.pem", "path": "ca.crt"}]
    assert not render(_DATABASE).has("StatefulSet", "demo-marketplace-postgresql")


@pytest.mark.parametrize(
    ("mode", "query"),
    [
        ("disable", {"sslmode": "disable"}),
        ("require", {"sslmode": "require"}),
        ("verify-full", {"sslmode": "verify-full", "sslrootcert": "/etc/ssl/certs/ca-certificates.crt"}),
    ],
)
def test_the_mode_of_tls_of_an_external_database(mode: str, query: dict[str, str]) -> None:
    values = {"postgresql": {"enabled": False}, "externalDatabase": {"host": "db", "tls": {"mode": mode}}}
    assert dict(make_url(env(_worker(values))["MARKETPLACE_DATABASE__URL"]).query) == query


def test_the_output_of_the_terraform_module_is_values_of_the_chart() -> None:
    output = blocks("outputs.tf", "output")["helm_values"]["value"]["externalRedis"]
    known = {
        "host": "master.jobs.abc123.euw1.cache.amazonaws.com",
        "port": 6379,
        "existingSecret": "marketplace-redis",
        "tls": output["tls"],
    }
    assert output.keys() == known.keys()
    worker = _worker({"valkey": {"enabled": False}, "externalRedis": known})
    assert env(worker)["MARKETPLACE_REDIS__URL"] == f"rediss://{known['host']}:6379/0"
    assert volumes(worker)["redis"]["secret"]["secretName"] == "marketplace-redis"
    # Amazon's authorities are among the system's own.
    assert "MARKETPLACE_REDIS__TLS_CA_FILE" not in env(worker)
