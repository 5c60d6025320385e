"""The JSON Schema of a statement of this build type, made from the models.

`python -m brew_provenance.buildtypes.bottle.v1.schema > schema.json`, in this folder, makes it anew.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from brew_provenance.buildtypes.bottle.v1 import (
    BUILD_TYPE,
    FORMULA,
    PATH,
    TAP,
    WITHOUT_BOTTLE_BLOCK,
    BottleBuild,
)
from brew_provenance.statement import PROVENANCE_V1, STATEMENT_V1

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
"""The dialect that it is written in."""

_SHA256 = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_GIT_ID = {"type": "string", "pattern": "^(?:[0-9a-f]{40}|[0-9a-f]{64})$"}


def build_schema() -> dict[str, Any]:
    """Return the schema of a whole statement."""
    predicate = BottleBuild.model_json_schema(by_alias=True)
    definitions = predicate.pop("$defs")
    definitions["BottleBuild"] = predicate
    for definition in definitions.values():
        # What a model raises is no concern of those who read the schema.
        definition["description"] = definition["description"].partition("\n\n")[0]
    definitions["BuildDefinition"]["properties"]["buildType"] = {"const": BUILD_TYPE}
    dependencies = definitions["BuildDefinition"]["properties"]["resolvedDependencies"]
    dependencies["allOf"] = [_has(TAP, _TAP_SCHEMA), _has(FORMULA, _FORMULA_SCHEMA)]
    definitions["ResourceDescriptor"]["properties"]["digest"]["properties"] = {
        "sha256": _SHA256,
        "gitCommit": _GIT_ID,
        "gitBlob": _GIT_ID,
    }
    return {
        "$schema": DIALECT,
        "$id": f"{BUILD_TYPE}/schema.json",
        "title": "An in-toto statement about the build of one Homebrew bottle",
        "type": "object",
        "properties": {
            "_type": {"const": STATEMENT_V1},
            "subject": {"type": "array", "items": _SUBJECT_SCHEMA, "minItems": 1, "maxItems": 1},
            "predicateType": {"const": PROVENANCE_V1},
            "predicate": {"$ref": "#/$defs/BottleBuild"},
        },
        "required": ["_type", "subject", "predicateType", "predicate"],
        "$defs": dict(sorted(definitions.items())),
    }


_SUBJECT_SCHEMA: Final = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "The bottle's file name."},
        "digest": {"type": "object", "properties": {"sha256": _SHA256}, "required": ["sha256"]},
    },
    "required": ["name", "digest"],
}
_TAP_SCHEMA: Final = {
    "properties": {"digest": {"required": ["gitCommit"]}},
    "required": ["uri", "digest"],
}
_FORMULA_SCHEMA: Final = {
    "properties": {
        "digest": {"required": ["sha256"]},
        "annotations": {
            "properties": {PATH: {"type": "string"}, WITHOUT_BOTTLE_BLOCK: _SHA256},
            "required": [PATH, WITHOUT_BOTTLE_BLOCK],
        },
    },
    "required": ["digest", "annotations"],
}


def _has(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return the rule that a list holds one entry of this name, and that it is of this form."""
    named = {"properties": {"name": {"const": name}}, "required": ["name"]}
    return {
        "contains": {"allOf": [named, schema]},
        "minContains": 1,
        "not": {"contains": named, "minContains": 2},
    }


def main() -> None:
    """Write the schema to standard output."""
    sys.stdout.write(json.dumps(build_schema(), indent=2, ensure_ascii=True) + "\n")


if __name__ == "__main__":
    main()
