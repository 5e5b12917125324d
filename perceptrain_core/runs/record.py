"""What the run folder says besides the run file: the weights, the labels, and the data."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from perceptrain_core.data.files.folds import are_class_maps, are_classes
from perceptrain_core.data.files.splits import rows_of_tensors
from perceptrain_core.data.tables.encode import ClassName
from perceptrain_core.data.tables.preparation import Preparation
from perceptrain_core.errors import DataError
from perceptrain_core.regular_file import reason_to_refuse
from perceptrain_core.runs.data import RunData
from perceptrain_core.runs.file_names import RECORD
from perceptrain_core.runs.paths import relative_path

_LARGEST = 2**26  # bytes; the names of millions of classes


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Fingerprint(_Record):
    """The data file of a run.

    Attributes:
        file: Its path relative to the run folder.
        size: Its size in bytes.
        sha256: Its checksum.
    """

    file: str
    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path, folder: Path) -> Fingerprint:
        """Read the file, and return its fingerprint."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return cls(file=relative_path(path, folder), size=path.stat().st_size, sha256=digest)


class RunRecord(_Record):
    """What is in the run folder.

    Attributes:
        format: The version of this record.
        weights: What ``model.pt`` holds: the weights of the last epoch, of the best one, if early
            stopping restored them, or their moving average.
        epoch: The epoch that they are of, counted from 1.
        labels: The names of the labels, if they are known.
        classes: The classes in the order of their numbers, text or numbers as in the data; ``None``
            if the labels are no classes.
        data: The data file, if the run has one.
    """

    format: Literal[1] = 1
    weights: Literal["last", "best", "average"] = "last"
    epoch: int = 0
    labels: tuple[str, ...] = ()
    classes: tuple[ClassName, ...] | None = None
    data: Fingerprint | None = None


def label_names(data: RunData) -> tuple[tuple[str, ...], tuple[ClassName, ...] | None]:
    """Return the names of the labels of a run, and its classes, if it has classes."""
    if isinstance(data.preparation, Preparation):
        return data.preparation.labels.names, data.preparation.labels.classes
    tensors = rows_of_tensors(data.splits.train) or ()
    if len(tensors) < 2:
        return (), None
    if not (data.binary or are_classes(tensors[1]) or are_class_maps(*tensors[:2])):
        return (), None
    number = 2 if data.binary else data.classes
    return (), tuple(range(number))


def write_record(folder: Path, record: RunRecord) -> None:
    """Write the record into a run folder."""
    text = json.dumps(record.model_dump(exclude_none=True), indent=2)
    (folder / RECORD).write_text(text + "\n", encoding="utf-8")


def read_record(folder: Path) -> RunRecord:
    """Read the record of a run folder.

    Raises:
        DataError: There is none, or it is not valid.
    """
    path = folder / RECORD
    if reason := reason_to_refuse(path, _LARGEST):
        raise DataError(f"{path} {reason}.")
    try:
        return RunRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise DataError(
            f"{folder} has no {RECORD}: its training did not end, or an older version trained it. "
            "Continue it with 'perceptrain train RUN.toml --resume', or train again."
        ) from None
    except (OSError, ValidationError) as error:
        raise DataError(f"{path} cannot be read: {' '.join(str(error).split()):.300}") from None
