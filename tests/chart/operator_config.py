"""What the Prometheus Operator makes of an AlertmanagerConfig, as far as ours goes.

Source: prometheus-operator, pkg/alertmanager/amcfg.go: receivers get the name of the object as a prefix, the outermost
route and both sides of an inhibition get a matcher for the namespace, and the outermost route is always left again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.chart.manifest_files import Object


def alertmanager_config_of(resource: Object) -> dict[str, Any]:
    """Return the configuration of an Alertmanager that takes this object and has one receiver more, `rest`."""
    metadata, spec = resource["metadata"], resource["spec"]
    prefix = f"{metadata['namespace']}/{metadata['name']}/"
    here = f'namespace="{metadata["namespace"]}"'
    outermost = _route(spec["route"], prefix)
    outermost["matchers"] = [*outermost.get("matchers", ()), here]
    outermost["continue"] = True
    return {
        "route": {"receiver": "rest", "routes": [outermost]},
        "inhibit_rules": [
            {
                "source_matchers": [*_matchers(rule["sourceMatch"]), here],
                "target_matchers": [*_matchers(rule["targetMatch"]), here],
                "equal": rule["equal"],
            }
            for rule in spec["inhibitRules"]
        ],
        "receivers": [{"name": "rest"}, *({"name": prefix + each["name"]} for each in spec["receivers"])],
    }


def _route(route: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    names = {"groupBy": "group_by", "groupWait": "group_wait"}
    names |= {"groupInterval": "group_interval", "repeatInterval": "repeat_interval", "continue": "continue"}
    written: dict[str, Any] = {ours: route[theirs] for theirs, ours in names.items() if theirs in route}
    written["receiver"] = prefix + route["receiver"]
    if "matchers" in route:
        written["matchers"] = _matchers(route["matchers"])
    if "routes" in route:
        written["routes"] = [_route(below, prefix) for below in route["routes"]]
    return written


def _matchers(matchers: list[Mapping[str, str]]) -> list[str]:
    return [f'{each["name"]}{each["matchType"]}"{each["value"]}"' for each in matchers]
