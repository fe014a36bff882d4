"""How many pods there are: disruption budgets, and autoscalers by CPU and by the depth of the queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from app.domain.jobs import QUEUES
from app.metrics import QUEUE_ACTIVE, QUEUE_PENDING
from app.settings import RedisSettings, WorkerSettings
from tests.chart.manifest_files import Object
from tests.chart.rendering import refused, render

_WORKER = "demo-marketplace-worker"
_TLS_REDIS = {
    "valkey": {"enabled": False},
    "externalRedis": {
        "host": "redis.example.com",
        "username": "jobs",
        "database": 3,
        "existingSecret": "redis-login",
        "passwordKey": "token",
        "tls": {"enabled": True, "caSecret": "redis-ca", "caKey": "root.pem"},
    },
}


def _keda(values: Mapping[str, Any] | None = None, **keda: object) -> dict[str, Any]:
    return {"worker": {"keda": {"enabled": True, **keda}}, **(values or {})}


def _scaled(values: Mapping[str, Any]) -> Object:
    found: Object = render(values).one("ScaledObject", _WORKER)["spec"]
    return found


def test_roles_of_several_pods_have_a_budget_and_those_of_one_have_none() -> None:
    rendered = render()
    assert rendered.names("PodDisruptionBudget") == [
        f"demo-marketplace-{role}" for role in ("scheduler", "web", "worker")
    ]
    budget = rendered.one("PodDisruptionBudget", _WORKER)
    assert budget["apiVersion"] == "policy/v1"
    assert budget["spec"]["maxUnavailable"] == 1
    assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    worker = rendered.one("Deployment", _WORKER)
    assert budget["spec"]["selector"] == worker["spec"]["selector"]


def test_a_budget_follows_the_number_of_pods() -> None:
    rendered = render({"web": {"replicas": 1}, "quarantine": {"replicas": 2}})
    assert not rendered.has("PodDisruptionBudget", "demo-marketplace-web")
    assert rendered.has("PodDisruptionBudget", "demo-marketplace-quarantine")
    scaled = render({"web": {"replicas": 1, "autoscaling": {"enabled": True, "minReplicas": 1}}})
    assert scaled.has("PodDisruptionBudget", "demo-marketplace-web")


def test_a_budget_can_be_changed_or_left_out() -> None:
    rendered = render({"web": {"pdb": {"maxUnavailable": "50%"}}, "worker": {"pdb": {"enabled": False}}})
    assert rendered.one("PodDisruptionBudget", "demo-marketplace-web")["spec"]["maxUnavailable"] == "50%"
    assert not rendered.has("PodDisruptionBudget", _WORKER)


def test_nothing_scales_by_itself_unless_told() -> None:
    rendered = render()
    assert rendered.of("HorizontalPodAutoscaler") == ()
    assert rendered.of("ScaledObject") == ()


@pytest.mark.parametrize("role", ["web", "worker"])
def test_an_autoscaler_by_cpu_sets_the_number_of_pods_alone(role: str) -> None:
    scaling = {"enabled": True, "minReplicas": 3, "maxReplicas": 9, "targetCPUUtilizationPercentage": 60}
    rendered = render({role: {"autoscaling": scaling}})
    scaler = rendered.one("HorizontalPodAutoscaler", f"demo-marketplace-{role}")
    assert scaler["apiVersion"] == "autoscaling/v2"
    assert scaler["spec"]["scaleTargetRef"]["name"] == f"demo-marketplace-{role}"
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (3, 9)
    assert scaler["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 60
    assert "replicas" not in rendered.one("Deployment", f"demo-marketplace-{role}")["spec"]


def test_pods_come_at_once_and_go_slowly() -> None:
    values = {"web": {"autoscaling": {"enabled": True}}, **_keda(scaleDownStabilizationSeconds=600)}
    by_cpu = render(values).one("HorizontalPodAutoscaler")["spec"]["behavior"]
    by_depth = _scaled(values)["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert by_cpu["scaleDown"]["stabilizationWindowSeconds"] == 300
    assert by_depth["scaleDown"]["stabilizationWindowSeconds"] == 600
    for behavior in (by_cpu, by_depth):
        assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0
        assert behavior["scaleDown"]["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 60}]


def test_keda_sets_the_number_of_workers_alone() -> None:
    rendered = render(_keda(minReplicas=3, maxReplicas=30, pollingInterval=5, cooldownPeriod=60))
    scaled = rendered.one("ScaledObject", _WORKER)["spec"]
    assert scaled["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": _WORKER}
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (3, 30)
    assert (scaled["pollingInterval"], scaled["cooldownPeriod"]) == (5, 60)
    assert "replicas" not in rendered.one("Deployment", _WORKER)["spec"]


def test_keda_asks_our_own_metrics_for_waiting_and_running_jobs() -> None:
    (trigger,) = _scaled(_keda({"environment": "shop-1"}, queueDepthPerWorker=12))["triggers"]
    assert trigger["type"] == "prometheus"
    asked = trigger["metadata"]
    assert asked["serverAddress"] == "http://demo-marketplace-prometheus.ops.svc:9090"
    assert asked["query"] == (
        f'sum(max by (queue) ({QUEUE_PENDING.name}{{environment="shop-1"}}))'
        f' + sum(max by (queue) ({QUEUE_ACTIVE.name}{{environment="shop-1"}}))'
    )
    assert asked["threshold"] == "12"


def test_the_usual_depth_fits_the_threads_of_a_worker_that_asks_agents() -> None:
    (trigger,) = _scaled(_keda())["triggers"]
    # A quarter of the threads is room for the jobs that come until the next pod runs.
    assert int(trigger["metadata"]["threshold"]) == WorkerSettings().analysis_threads * 3 // 4


def test_a_depth_that_cannot_be_read_is_not_taken_for_an_empty_queue() -> None:
    scaled = _scaled(_keda(fallbackReplicas=7))
    assert scaled["triggers"][0]["metadata"]["ignoreNullValues"] == "false"
    assert scaled["fallback"] == {"failureThreshold": 3, "replicas": 7}
    # Only an average can fall back.
    assert {trigger["metricType"] for trigger in scaled["triggers"]} == {"AverageValue"}


def test_keda_can_ask_a_prometheus_elsewhere() -> None:
    values = {"prometheus": {"enabled": False}, "externalPrometheus": {"url": "https://prometheus.example.com"}}
    assert _scaled(_keda(values))["triggers"][0]["metadata"]["serverAddress"] == "https://prometheus.example.com"


def test_keda_can_look_at_the_lists_of_hints_themselves() -> None:
    rendered = render(_keda(trigger="redis"))
    triggers = rendered.one("ScaledObject", _WORKER)["spec"]["triggers"]
    namespace = RedisSettings().namespace
    assert {trigger["metadata"]["listName"] for trigger in triggers} == {
        f"{namespace}:{queue}" for queue in QUEUES.values()
    }
    for trigger in triggers:
        assert trigger["type"] == "redis"
        assert trigger["metadata"]["address"] == "demo-marketplace-valkey.ops.svc:6379"
        assert trigger["metadata"]["enableTLS"] == "false"
        assert trigger["authenticationRef"] == {"name": _WORKER}
    (password,) = rendered.one("TriggerAuthentication", _WORKER)["spec"]["secretTargetRef"]
    assert password == {"parameter": "password", "name": "demo-marketplace-valkey", "key": "password"}


def test_keda_uses_the_namespace_of_keys_that_is_set() -> None:
    values = _keda({"settings": {"MARKETPLACE_REDIS__NAMESPACE": "shop"}}, trigger="redis")
    assert _scaled(values)["triggers"][0]["metadata"]["listName"] == "shop:phase1-tasks"


def test_keda_reaches_an_external_redis_over_tls() -> None:
    rendered = render(_keda(_TLS_REDIS, trigger="redis"))
    asked = rendered.one("ScaledObject", _WORKER)["spec"]["triggers"][0]["metadata"]
    assert asked["address"] == "redis.example.com:6379"
    assert (asked["enableTLS"], asked["unsafeSsl"], asked["databaseIndex"]) == ("true", "false", "3")
    assert asked["usernameFromEnv"] == "MARKETPLACE_REDIS__USERNAME"
    assert rendered.one("TriggerAuthentication", _WORKER)["spec"]["secretTargetRef"] == [
        {"parameter": "password", "name": "redis-login", "key": "token"},
        {"parameter": "ca", "name": "redis-ca", "key": "root.pem"},
    ]


def test_keda_needs_no_secret_for_an_open_redis() -> None:
    values = {"valkey": {"enabled": False}, "externalRedis": {"host": "redis.example.com"}}
    rendered = render(_keda(values, trigger="redis"))
    assert rendered.of("TriggerAuthentication") == ()
    assert "authenticationRef" not in rendered.one("ScaledObject", _WORKER)["spec"]["triggers"][0]


def test_keda_and_an_autoscaler_cannot_both_set_the_number() -> None:
    message = refused({"worker": {"keda": {"enabled": True}, "autoscaling": {"enabled": True}}})
    assert "worker.autoscaling.enabled" in message
    assert "worker.keda.enabled" in message


def test_keda_without_a_prometheus_to_ask_is_refused() -> None:
    values = {"prometheus": {"enabled": False}, "grafana": {"enabled": False}}
    assert "worker.keda.trigger" in refused(_keda(values))


def test_a_share_of_cpu_needs_a_request_of_it() -> None:
    values = {"web": {"autoscaling": {"enabled": True}, "resources": {"requests": {"cpu": None}}}}
    assert "web.resources.requests.cpu" in refused(values)
