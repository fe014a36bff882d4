"""The Terraform module: Terraform's own judgement where it is installed, and always what its text must say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from app.settings import COMMON_NAMES, known_names
from deploy.artifacts.terraform_readme import MODULE, blocks, terraform_readme
from deploy.terraform.check import commands, find_mirror, run_in_copy
from tests.terraform_cli import terraform_and_mirror

_VARIABLES = blocks("variables.tf", "variable")
_OUTPUTS = blocks("outputs.tf", "output")
_RESOURCES: Mapping[str, Mapping[str, Any]] = blocks("main.tf", "resource")
_LOCALS = blocks("main.tf", "locals")
_GROUP = _RESOURCES["aws_elasticache_replication_group"]["this"]
_MAIN = (MODULE / "main.tf").read_text(encoding="utf-8")
_README = (MODULE / "README.md").read_text(encoding="utf-8")
_REFUSED = (MODULE / "tests" / "refused.tftest.hcl").read_text(encoding="utf-8")
_FILES = sorted(MODULE.rglob("*.tf")) + sorted(MODULE.rglob("*.hcl"))

#: What has no wrong value, for its type refuses all of them.
_BOOLEANS = {name for name, body in _VARIABLES.items() if body["type"] == "bool"}


def test_terraform_accepts_the_module_and_its_tests_pass() -> None:
    terraform, mirror = terraform_and_mirror()
    code, printed = run_in_copy(terraform, commands(mirror))
    assert code == 0, printed
    assert re.search(r"Success! \d+ passed, 0 failed", printed)


def test_terraform_refuses_a_module_that_lets_keys_be_evicted(tmp_path: Path) -> None:
    terraform, mirror = terraform_and_mirror()
    for path in MODULE.glob("*.tf"):
        text = path.read_text(encoding="utf-8").replace('"noeviction"', '"allkeys-lru"')
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    (tmp_path / "tests").mkdir()
    test = (MODULE / "tests" / "server.tftest.hcl").read_text(encoding="utf-8")
    # Its first run is enough, for each takes half a second.
    (tmp_path / "tests" / "server.tftest.hcl").write_text("\nrun ".join(test.split("\nrun ")[:2]), encoding="utf-8")
    steps = [step for step in commands(mirror) if step[0] in {"init", "test"}]
    code, printed = run_in_copy(terraform, steps, module=tmp_path)
    assert code != 0
    assert "keys can be evicted" in printed


def test_the_module_asserts_enough() -> None:
    text = (MODULE / "tests" / "server.tftest.hcl").read_text(encoding="utf-8")
    assert len(re.findall(r"^  assert \{", text, re.MULTILINE)) >= 12


@pytest.mark.parametrize("name", _VARIABLES)
def test_every_variable_is_described_typed_and_used(name: str) -> None:
    body = _VARIABLES[name]
    assert body["description"].endswith((".", "below."))
    assert body["type"]
    used = _MAIN + (MODULE / "outputs.tf").read_text(encoding="utf-8")
    assert re.search(rf"\bvar\.{name}\b", used)


@pytest.mark.parametrize("name", sorted(_VARIABLES.keys() - _BOOLEANS))
def test_a_wrong_value_is_refused_with_a_message_that_names_the_variable(name: str) -> None:
    validations = _VARIABLES[name]["validation"]
    assert all(validation["error_message"].startswith(f"{name} ") for validation in validations)
    assert f"var.{name}," in _REFUSED


def test_the_readme_has_every_variable_and_output() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", _README, re.MULTILINE))
    assert rows == {*_VARIABLES, *_OUTPUTS}
    assert all(body["description"] for body in _OUTPUTS.values())


def test_the_readme_follows_from_the_module() -> None:
    assert terraform_readme() == _README


def test_the_readme_names_settings_that_exist() -> None:
    known = {*known_names(), *COMMON_NAMES}
    named = set(re.findall(r"\b(?:MARKETPLACE_[A-Z_]+|REDIS_URL)\b", _README))
    assert {name.removesuffix("_FILE") if name not in known else name for name in named} <= known
    assert "MARKETPLACE_REDIS__TLS_CA_FILE" in named


@pytest.mark.parametrize("path", _FILES, ids=lambda path: str(path.relative_to(MODULE)))
def test_no_range_of_addresses_is_opened(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "0.0.0.0/0" not in text
    assert "::/0" not in text
    assert not re.search(r"cidr_(blocks|ipv[46])\s*=\s*[^=]", text)


def test_only_named_security_groups_may_connect() -> None:
    rule = _RESOURCES["aws_vpc_security_group_ingress_rule"]["client"]
    assert "default" not in _VARIABLES["allowed_security_group_ids"]
    assert rule["for_each"] == "${var.allowed_security_group_ids}"
    assert rule["referenced_security_group_id"] == "${each.value}"
    assert rule["description"]
    assert not {"ingress", "egress"} & _RESOURCES["aws_security_group"]["this"].keys()


def test_tls_token_and_encryption_cannot_be_turned_off() -> None:
    assert _GROUP["transit_encryption_enabled"] is True
    assert _GROUP["transit_encryption_mode"] == "required"
    assert _GROUP["at_rest_encryption_enabled"] is True
    assert _GROUP["auth_token"] == "${var.auth_token}"
    assert _VARIABLES["auth_token"]["sensitive"] is True
    assert "default" not in _VARIABLES["auth_token"]


def test_a_replica_in_another_zone_takes_over_without_cluster_mode() -> None:
    assert _GROUP["automatic_failover_enabled"] is True
    assert _GROUP["multi_az_enabled"] is True
    assert _GROUP["cluster_mode"] == "disabled"
    assert _VARIABLES["num_cache_clusters"]["default"] >= 2


def test_nothing_is_evicted_and_parameters_are_replaced_without_a_gap() -> None:
    parameters = _RESOURCES["aws_elasticache_parameter_group"]["this"]
    assert {key.strip('"'): value for key, value in _LOCALS["parameters"].items()}["maxmemory-policy"] == "noeviction"
    assert parameters["dynamic"][0]["parameter"]["for_each"] == "${local.parameters}"
    assert parameters["lifecycle"] == [{"create_before_destroy": True}]


def test_every_member_has_alarms_for_what_can_go_wrong() -> None:
    assert {alarm["metric"] for alarm in _LOCALS["alarms"].values()} == {
        "AuthenticationFailures",
        "CurrConnections",
        "DatabaseMemoryUsagePercentage",
        "EngineCPUUtilization",
        "Evictions",
        "ReplicationLag",
        "SwapUsage",
    }
    assert _RESOURCES["aws_cloudwatch_metric_alarm"]["member"]["for_each"] == "${local.member_alarms}"


def test_no_output_holds_the_token() -> None:
    assert not any("auth_token" in str(body["value"]) for body in _OUTPUTS.values())


def test_the_output_for_the_chart_has_the_shape_of_its_values() -> None:
    redis = _OUTPUTS["helm_values"]["value"]["externalRedis"]
    assert redis.keys() == {"host", "port", "tls", "existingSecret"}
    assert redis["tls"] == {"enabled": True}


def _mirror(folder: Path) -> Path:
    provider = folder / "registry.terraform.io/hashicorp/aws"
    provider.mkdir(parents=True)
    (provider / "terraform-provider-aws_5.100.0_linux_amd64.zip").touch()
    return folder


def test_a_mirror_is_found_where_the_environment_says(tmp_path: Path) -> None:
    mirror = _mirror(tmp_path / "mirror")
    assert find_mirror({"TERRAFORM_PLUGIN_DIR": str(mirror)}) == mirror


def test_a_mirror_is_found_in_terraforms_configuration(tmp_path: Path) -> None:
    mirror = _mirror(tmp_path / "mirror")
    configuration = tmp_path / "terraformrc"
    configuration.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n')
    assert find_mirror({"TF_CLI_CONFIG_FILE": str(configuration)}) == mirror


def test_a_configuration_that_is_not_there_and_an_empty_folder_are_passed_over(tmp_path: Path) -> None:
    named = {"TF_CLI_CONFIG_FILE": str(tmp_path / "nothing"), "TERRAFORM_PLUGIN_DIR": str(tmp_path)}
    assert find_mirror(named) != tmp_path
