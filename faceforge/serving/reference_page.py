"""The page `/docs`: the interface as plain HTML, made from its OpenAPI description; it needs no scripts."""

from __future__ import annotations

import json
from typing import Any

from faceforge.templates import template_environment


def reference_page(openapi: dict[str, Any]) -> str:
    """HTML of all endpoints with their fields, examples and responses.

    Args:
        openapi: the OpenAPI 3.1 description of the interface.
    """
    schemas = openapi.get("components", {}).get("schemas", {})
    endpoints = [
        {
            "method": method.upper(),
            "path": path,
            "summary": operation.get("description") or operation.get("summary", ""),
            "fields": _fields(operation, schemas),
            "examples": [json.dumps(example) for example in _body(operation, schemas).get("examples", ())],
            "responses": {status: answer["description"] for status, answer in operation["responses"].items()},
        }
        for path, operations in openapi["paths"].items()
        for method, operation in operations.items()
    ]
    template = template_environment("faceforge.serving").get_template("reference.html.jinja")
    return template.render(info=openapi["info"], endpoints=endpoints)


def _body(operation: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """The schema of the request's body; {} if it has none."""
    content = operation.get("requestBody", {}).get("content", {})
    schema: dict[str, Any] = next((kind["schema"] for kind in content.values()), {})
    return _resolved(schema, schemas)


def _fields(operation: dict[str, Any], schemas: dict[str, Any]) -> list[dict[str, str]]:
    body = _body(operation, schemas)
    required = body.get("required", ())
    return [
        {
            "name": name,
            "type": _type(field, schemas),
            "default": "required" if name in required else json.dumps(field.get("default")),
            "description": field.get("description", ""),
        }
        for name, field in body.get("properties", {}).items()
    ]


def _type(field: dict[str, Any], schemas: dict[str, Any]) -> str:
    """A type in words: `array of integer`, `string or boolean`."""
    field = _resolved(field, schemas)
    if "anyOf" in field:
        kinds = dict.fromkeys(_type(option, schemas) for option in field["anyOf"])
        return " or ".join(kind for kind in kinds if kind != "null")
    if field.get("type") == "array":
        return f"array of {_type(field.get('items', {}), schemas)}"
    return str(field.get("type", "any"))


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref", "").rpartition("/")[2]
    return dict(schemas[reference]) if reference else schema
