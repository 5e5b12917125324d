"""Code that a run file names: it is imported only for somebody who trusts it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from perceptrain_core.errors import TrustError
from perceptrain_core.registry.references import references_refused
from perceptrain_core.runs.tables import RunFile

_REFERENCE = re.compile(r"[^\s:]+:[A-Za-z_][\w.]*")


def code_in(run_file: RunFile) -> list[str]:
    """Return what looks like code to import in a run file, as ``table.key = reference``."""
    tables = run_file.model_dump(exclude_none=True, exclude={"provenance"})
    return list(_found(tables, ""))


@contextmanager
def trusting(trust: bool, path: Path) -> Iterator[None]:
    """Refuse to import code that a run file names, unless it is trusted.

    Args:
        trust: Whether it is.
        path: The run file, for the message.

    Raises:
        TrustError: It names code, and is not trusted.
    """
    if trust:
        yield
        return
    try:
        with references_refused():
            yield
    except TrustError as error:
        raise TrustError(
            f"{path}: {error} If you trust the one who made this run, pass trust=True "
            "(--trust on the command line)."
        ) from None


def _found(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _found(item, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for item in value:
            yield from _found(item, path)
    elif isinstance(value, str) and _REFERENCE.fullmatch(value):
        yield f"{path} = {value}"
