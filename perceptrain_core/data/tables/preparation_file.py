"""A preparation as a JSON file."""

from __future__ import annotations

import json
from pathlib import Path

from perceptrain_core.data.tables.preparation import Preparation
from perceptrain_core.data.tables.tensor_preparation import TensorPreparation
from perceptrain_core.errors import DataError

_VERSION = 1
_KINDS: dict[str, type[Preparation] | type[TensorPreparation]] = {
    "table": Preparation,
    "tensors": TensorPreparation,
}


def write_preparation(path: Path, preparation: Preparation | TensorPreparation) -> None:
    """Write a preparation to a file."""
    (kind,) = (kind for kind, cls in _KINDS.items() if isinstance(preparation, cls))
    record = {"version": _VERSION, "kind": kind, **preparation.to_dict()}
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def read_preparation(path: Path) -> Preparation | TensorPreparation:
    """Read what ``write_preparation`` wrote.

    Raises:
        DataError: The file cannot be read, or is not a preparation.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not valid JSON: {error}.") from None
    record = record if isinstance(record, dict) else {}
    version, kind = record.pop("version", None), str(record.pop("kind", None))
    if version != _VERSION or kind not in _KINDS:
        raise DataError(
            f"{path}: expected a preparation of version {_VERSION}, of a table or of tensors, not "
            f"version {version!r} of {kind}."
        )
    try:
        return _KINDS[kind].from_dict(record)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
