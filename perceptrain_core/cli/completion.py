"""Completion in the shell: kinds, names and keys of run files, without importing torch."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

import typer

from perceptrain_core.registry.kinds import KINDS


def complete_kind(incomplete: str) -> list[str]:
    """Return the kinds that start with a text."""
    return [kind.singular for kind in KINDS if kind.singular.startswith(incomplete)]


def complete_name(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of the kind before that start with a text; none for an unknown kind."""
    from perceptrain_core.errors import PerceptrainError
    from perceptrain_core.registry import registry

    try:
        names = registry().catalogue(ctx.params.get("kind") or "")
    except PerceptrainError:
        return []
    return [name for name in names if name.startswith(incomplete)]


def complete_override(incomplete: str) -> list[str]:
    """Return the ``TABLE.KEY=`` of ``--set`` that start with a text, or ``TABLE=`` with names."""
    table, separator, text = incomplete.partition("=")
    table = table.removesuffix(".name") if separator else table
    if separator:
        return [f"{incomplete.partition('=')[0]}={name}" for name in _names(table, text)]
    return sorted(key for key in _keys() if key.startswith(incomplete))


def _keys() -> Iterable[str]:
    from perceptrain_core.runs.tables import DataTable, RunFile

    for kind in KINDS:
        if kind.singular in RunFile.model_fields:
            yield f"{kind.singular}="
            yield f"{kind.singular}."
    yield from (f"data.{key}=" for key in DataTable.model_fields)
    yield from (f"train.{key}=" for key in _settings())


def _names(table: str, text: str) -> list[str]:
    from perceptrain_core.errors import PerceptrainError
    from perceptrain_core.registry import registry

    try:
        names = registry().catalogue("dataset" if table == "data" else table)
    except PerceptrainError:
        return []
    return [name for name in names if name.startswith(text)]


def _settings() -> list[str]:
    """Return the fields of ``TrainConfig``, whose module imports torch, from its source."""
    path = Path(__file__).parents[1] / "config" / "train_config.py"
    (cls,) = (
        node
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name == "TrainConfig"
    )
    fields = (node.target for node in cls.body if isinstance(node, ast.AnnAssign))
    return [target.id for target in fields if isinstance(target, ast.Name)]
