"""JSON schemas of custom resources (KEDA, Prometheus Operator), out of packages with pydantic models of them.

The models are made from the operators' own CustomResourceDefinitions and want a library that talks to a cluster. Only
the shapes are wanted here, so its names are stood in for by pydantic's.
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any
from zipfile import ZipFile

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import models_json_schema

from deploy.tools.packages import opened
from deploy.tools.places import CUSTOM_SCHEMAS

#: Package, module in its wheel, API version of its kinds.
SOURCES = (
    ("cloudcoil_models_keda", "cloudcoil/models/keda/v1alpha1.py", "keda.sh/v1alpha1"),
    (
        "cloudcoil_models_prometheus_operator",
        "cloudcoil/models/prometheus_operator/v1.py",
        "monitoring.coreos.com/v1",
    ),
    (
        "cloudcoil_models_prometheus_operator",
        "cloudcoil/models/prometheus_operator/v1alpha1.py",
        "monitoring.coreos.com/v1alpha1",
    ),
)


class _Strict(BaseModel):
    """A model that refuses a field that it does not know: a misspelt one is dropped in silence by a cluster."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class _Resource(_Strict):
    """A whole custom resource, with the fields that every kind has."""


class _Metadata(BaseModel):
    """Metadata is checked with Kubernetes' own schema, like that of every object."""


class _Builder:
    """Stands for the models' builders, which nobody calls here."""

    def __class_getitem__(cls, _: object) -> type[_Builder]:
        return cls


def schema_file(api_version: str) -> Path:
    """Return where the schemas of an API version are: an object from kind to JSON schema, under `kinds`.

    >>> schema_file("keda.sh/v1alpha1").name
    'keda.sh_v1alpha1.json'
    """
    return CUSTOM_SCHEMAS / f"{api_version.replace('/', '_')}.json"


def write_custom_schemas(wheels: Path) -> None:
    """Write the schemas of every kind of the packages, from a folder of wheels."""
    CUSTOM_SCHEMAS.mkdir(parents=True, exist_ok=True)
    for package, module, api_version in SOURCES:
        with opened(wheels, package) as wheel:
            kinds = _kinds(_executed(wheel, module))
        schemas, definitions = models_json_schema([(kind, "validation") for kind in kinds], by_alias=True)
        names = {kind.__name__: schemas[kind, "validation"] for kind in kinds}
        content = {"kinds": names, **definitions}
        schema_file(api_version).write_text(json.dumps(content), encoding="utf-8")


def _executed(wheel: ZipFile, module: str) -> dict[str, Any]:
    # Pydantic looks up the names in a model's annotations in the module that sys.modules has under the model's.
    made = ModuleType(re.sub(r"\W", "_", module))
    lent = {**_stand_ins(), made.__name__: made}
    sys.modules.update(lent)
    try:
        with warnings.catch_warnings():
            # Some fields are called like methods of pydantic, such as `json` and `schema`.
            warnings.simplefilter("ignore")
            exec(compile(wheel.read(module), module, "exec"), made.__dict__)  # noqa: S102 - a locked package, as any import
            for kind in _kinds(made.__dict__):
                kind.model_rebuild(_types_namespace=made.__dict__)
    finally:
        for name in lent:
            del sys.modules[name]
    return made.__dict__


def _stand_ins() -> dict[str, ModuleType]:
    package, shapes, resources = (
        ModuleType(name) for name in ("cloudcoil", "cloudcoil.pydantic", "cloudcoil.resources")
    )
    for name in ("BaseBuilder", "BaseModelBuilder", "BuilderContextBase", "GenericListBuilder", "ListBuilderContext"):
        setattr(shapes, name, _Builder)
    shapes.BaseModel, shapes.Never, shapes.Self = _Strict, object, object  # type: ignore[attr-defined]
    resources.Resource = resources.ResourceList = _Resource  # type: ignore[attr-defined]
    package.apimachinery = ModuleType("apimachinery")  # type: ignore[attr-defined]
    for name in ("ObjectMeta", "ListMeta"):
        setattr(package.apimachinery, name, _Metadata)
    return {"cloudcoil": package, "cloudcoil.pydantic": shapes, "cloudcoil.resources": resources}


def _kinds(names: dict[str, Any]) -> list[type[_Resource]]:
    return [
        found
        for found in names.values()
        if isinstance(found, type) and issubclass(found, _Resource) and found is not _Resource
    ]
