"""The JSON schema of run files, with which editors complete and check them."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from typing import Any, get_type_hints

from pydantic import TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema

from perceptrain_core.config import TrainConfig
from perceptrain_core.registry import registry
from perceptrain_core.runs.tables import DataTable, RunFile

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
#: Settings whose text in a file stands for another type.
_WRITTEN: dict[str, dict[str, Any]] = {
    "max_time": {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string"}]},
    "dtype": {"type": "string", "examples": ["float32", "float64", "bfloat16", "float16"]},
    "precision": {"enum": ["full", "bf16", "bf16-mixed", "fp16", "fp16-mixed", "bf16-true"]},
    "activation_checkpointing": {
        "anyOf": [
            {"type": "boolean"},
            {"type": "string"},
            {"type": "array", "items": {"type": "string"}, "minItems": 1},
        ]
    },
    "lr_scheduler": {"type": ["string", "object", "array"]},
}
#: pydantic leaves the bounds behind a validator in its own words.
_BOUNDS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
}
_APART = ("callbacks", "plotting_functions", "validation_criterion", "trainstop_criterion")


def run_file_schema() -> dict[str, Any]:
    """Return the JSON schema of run files, with the names of all installed plugins as suggestions.

    A value may also be another text, such as a reference ``./code.py:name``.
    """
    texts = attribute_texts(RunFile)
    tables = {
        "model": _named("model"),
        "loss": _named("loss", required=False),
        "weighting": _named("weighting"),
        "optimizer": _named("optimizer", required=False),
        "data": _data(),
        "metrics": _metrics(),
        "train": _train(),
        "callbacks": {"type": "array", "items": _named("callback")},
        "provenance": {"type": "object"},
    }
    return {
        "$schema": _DRAFT,
        "title": "Run file of Perceptrain",
        "type": "object",
        "properties": {
            name: {"description": texts.get(name, ""), **table} for name, table in tables.items()
        },
        "required": ["model", "data"],
        "additionalProperties": False,
    }


def _names(kind: str) -> dict[str, Any]:
    entries = registry().catalogue(kind)
    known = [
        {"const": name, "description": entry.summary} for name, entry in sorted(entries.items())
    ]
    return {"anyOf": [*known, {"type": "string", "minLength": 1}]}


def _named(kind: str, required: bool = True) -> dict[str, Any]:
    """Return the schema of a table with a name and options, or of the name alone."""
    table: dict[str, Any] = {"type": "object", "properties": {"name": _names(kind)}}
    if required:
        table["required"] = ["name"]
    return {"anyOf": [_names(kind), table]}


def _data() -> dict[str, Any]:
    table = DataTable.model_json_schema()
    texts = attribute_texts(DataTable)
    properties = {
        name: {"description": texts.get(name, ""), **_without_null(schema)}
        for name, schema in table["properties"].items()
    }
    properties["name"] = {"description": texts["name"], **_names("dataset")}
    sources = [{"required": ["name"]}, {"required": ["file", "labels"]}]
    return {
        "anyOf": [
            _names("dataset"),
            {"type": "object", "properties": properties, "oneOf": sources},
        ]
    }


def _metrics() -> dict[str, Any]:
    entries = registry().catalogue("metric")
    known = {n: {"description": entry.summary} for n, entry in sorted(entries.items())}
    table = {"type": ["object", "string"], "properties": {"name": _names("metric")}}
    return {
        "type": "object",
        "properties": {name: {**text, **table} for name, text in known.items()},
        "additionalProperties": table,
    }


def _train() -> dict[str, Any]:
    texts = attribute_texts(TrainConfig)
    types = get_type_hints(TrainConfig, include_extras=True)
    properties = {}
    for field in fields(TrainConfig):
        if field.name in _APART:
            continue
        schema = _WRITTEN.get(field.name) or _type_schema(types[field.name])
        properties[field.name] = {"description": texts.get(field.name, ""), **schema}
    tool = properties["tracking_tool"]
    names = _names("tracker")
    tool["anyOf"] = [names, {"type": "array", "items": names}]
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _type_schema(kind: Any) -> dict[str, Any]:
    try:
        return _without_null(TypeAdapter(kind).json_schema())
    except PydanticInvalidForJsonSchema:  # it cannot be written in a file
        return {}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema without titles and without null, which TOML does not have."""
    kept = {
        _BOUNDS.get(key, key): value
        for key, value in schema.items()
        if key != "title" and value is not None
    }
    if "anyOf" in kept:
        kept["anyOf"] = [_without_null(s) for s in kept["anyOf"] if s != {"type": "null"}]
    return kept


def attribute_texts(described: type) -> dict[str, str]:
    """Return the texts of a class's docstring for its attributes or arguments."""
    found: dict[str, str] = {}
    name = ""
    for line in (inspect.getdoc(described) or "").splitlines():
        if match := re.fullmatch(r" {4}(\w[\w, ]*): (.*)", line):
            for name in match[1].split(", "):
                found[name] = match[2]
        elif name and line.startswith(" " * 8):
            found[name] += f" {line.strip()}"
    return found
