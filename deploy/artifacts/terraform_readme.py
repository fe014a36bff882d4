"""The README of the Terraform module: its text is README.md.in, its tables come from variables.tf and outputs.tf."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hcl2
from hcl2.utils import SerializationOptions

from deploy.artifacts.markdown import code, table

#: The module.
MODULE = Path(__file__).resolve().parents[1] / "terraform" / "elasticache"

_OPTIONS = SerializationOptions(with_comments=False, explicit_blocks=False, strip_string_quotes=True)


def blocks(name: str, kind: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the blocks of one kind with one label, such as `variable`, of a file of the module, by label."""
    with (MODULE / name).open(encoding="utf-8") as file:
        document = hcl2.load(file, serialization_options=_OPTIONS)
    return {label: body for block in document[kind] for label, body in block.items()}


def terraform_readme() -> str:
    """Return the README."""
    variables = table(
        ["Variable", "Type", "Default", "Meaning"],
        [
            [code(name), code(_type(body["type"])), _default(body), body["description"]]
            for name, body in blocks("variables.tf", "variable").items()
        ],
    )
    outputs = table(
        ["Output", "Meaning"],
        [[code(name), body["description"]] for name, body in blocks("outputs.tf", "output").items()],
    )
    text = (MODULE / "README.md.in").read_text(encoding="utf-8")
    return text.replace("@VARIABLES@", variables).replace("@OUTPUTS@", outputs)


def _type(expression: str) -> str:
    """Return the outer type: what an object holds is told by its description."""
    outer = expression.removeprefix("${").removesuffix("}")
    return "map(object)" if outer.startswith("map(object") else outer


def _default(body: Mapping[str, Any]) -> str:
    return code(json.dumps(body["default"])) if "default" in body else "required"
