"""Completion of kinds and names in the shell, from the registry, which does not import torch."""

from __future__ import annotations

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
