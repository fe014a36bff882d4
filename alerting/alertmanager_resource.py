"""The configuration of `alerting.alertmanager` as the Prometheus Operator takes it: an AlertmanagerConfig of v1alpha1.

Source of the fields: https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1alpha1
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

#: A matcher as Alertmanager writes it; no value of ours holds a quotation mark.
_MATCHER = re.compile(r'(?P<name>\w+)(?P<type>=~|!~|!=|=)"(?P<value>[^"]*)"')

#: Where the operator's name is not ours with the first letter after each underscore raised.
_OTHER_NAMES = {
    "source_matchers": "sourceMatch",
    "target_matchers": "targetMatch",
    "require_tls": "requireTLS",
    "credentials_file": "credentials",
    "url_file": "urlSecret",
}


def resource_spec(config: Mapping[str, Any], secrets: Mapping[str, Mapping[str, str]]) -> Mapping[str, Any]:
    """Return the `spec` of the resource for the same routes, receivers and inhibitions.

    `secrets` gives, for each file that `config` names, the name and the key of the Secret that holds its text: the
    operator reads no files.

    Raises:
        KeyError: A file has no Secret.
        ValueError: A matcher has a form that we do not write.
    """
    return {_camel_case(name): _converted(name, value, secrets) for name, value in config.items()}


def _converted(name: str, value: object, secrets: Mapping[str, Mapping[str, str]]) -> object:
    if name.endswith("matchers") and isinstance(value, list):
        return [_matcher(text) for text in value]
    if name.endswith("_file"):
        return dict(secrets[str(value)])
    if isinstance(value, Mapping):
        return resource_spec(value, secrets)
    if isinstance(value, list):
        return [_converted("", item, secrets) for item in value]
    return value


def _matcher(text: str) -> Mapping[str, str]:
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise ValueError(f"no matcher of ours: {text}")
    return {"name": found["name"], "matchType": found["type"], "value": found["value"]}


def _camel_case(name: str) -> str:
    """Return a name as the operator writes it.

    >>> _camel_case("group_by"), _camel_case("require_tls")
    ('groupBy', 'requireTLS')
    """
    return _OTHER_NAMES.get(name) or re.sub(r"_(\w)", lambda found: found[1].upper(), name)
