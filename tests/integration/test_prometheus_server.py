from __future__ import annotations

from pathlib import Path

import pytest
import requests

from tests import prometheus_server
from tests.prometheus_server import need_prometheus, running_prometheus

_SAMPLES = """\
# TYPE apples gauge
apples{colour="red"} 3 1700000000
apples{colour="red"} 4 1700000015
"""


def test_past_samples_can_be_asked_for_at_once(tmp_path: Path) -> None:
    with running_prometheus(tmp_path, samples=_SAMPLES) as url:
        query = {"query": "apples", "time": "1700000020"}
        answer = requests.get(f"{url}/api/v1/query", params=query, timeout=5).json()
    assert [(found["metric"]["colour"], found["value"][1]) for found in answer["data"]["result"]] == [("red", "4")]


def test_it_is_gone_afterwards(tmp_path: Path) -> None:
    with running_prometheus(tmp_path) as url:
        pass
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/-/ready", timeout=2)


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_without_the_program_a_test_is_skipped_by_name_and_in_ci_it_fails(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prometheus_server, "_PROGRAMS", ("no-such-program",))
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="make tools"):
        need_prometheus()
