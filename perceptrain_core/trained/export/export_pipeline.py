"""Export a pipeline to a file, and check what the file predicts."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import warnings
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.errors import ConfigError, DataError, ExportError, PerceptrainError
from perceptrain_core.inference.predictions import Target
from perceptrain_core.tensors import describe
from perceptrain_core.trained.export.comparison import compare, with_gaps
from perceptrain_core.trained.export.description import describe_files
from perceptrain_core.trained.export.formats import FileFormat

_EXAMPLE = 3  # torch makes 0 and 1 constants of the graph


def target_path(path: str | Path | None, folder: Path, into: FileFormat) -> Path:
    """Return the path of the file to write.

    Args:
        path: The file; by default ``exported.SUFFIX`` in the run folder. Without a suffix, it gets
            that of the format.
        folder: The run folder.
        into: The format.

    Raises:
        ConfigError: The path has another suffix, or its folder does not exist.
    """
    path = folder / "exported" if path is None else Path(path)
    if path.is_dir():
        raise ConfigError(f"{path} is a folder: name the file to write.")
    if not path.suffix:
        path = path.with_name(path.name + into.suffix)
    if path.suffix != into.suffix:
        raise ConfigError(
            f"{path}: for the format {into.name!r}, name the file {path.stem}{into.suffix}."
        )
    if not path.parent.is_dir():
        raise ConfigError(f"There is no folder {path.parent}: create it first.")
    return path


def export_pipeline(
    pipeline: nn.Module,
    rows: Tensor,
    preparation: object,
    target: Target,
    about: dict[str, Any],
    path: Path,
    into: FileFormat,
) -> None:
    """Write a pipeline to a file, with a description of it, and check what the file predicts.

    Args:
        pipeline: From raw rows to predictions.
        rows: Real raw rows, shape ``(N, ...)``, to compare with.
        preparation: That of the run.
        target: What the model predicts.
        about: What else to say in the description.
        path: The file to write; the description is written to ``path`` with ``.json`` added.
        into: The format.

    Raises:
        ExportError: The pipeline cannot be exported, or the file predicts something else.
        MissingDependencyError: The format needs a package that is not installed.
    """
    pipeline = deepcopy(pipeline).cpu().eval()
    rows = with_gaps(rows.detach().cpu(), preparation)
    with torch.no_grad():
        outputs = pipeline(rows)
    if not isinstance(outputs, Tensor):
        raise ExportError(f"The model returned {describe(outputs)}; expected a tensor.")
    described = about | describe_files(rows, outputs, preparation, target)
    text = json.dumps(described, indent=2, ensure_ascii=False)
    example = rows[torch.arange(_EXAMPLE) % len(rows)]
    scale = 1.0 if target.activation in ("softmax", "sigmoid") else 0.0
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        with _reporting(into):
            into.write(pipeline, example, partial, text)
            compare(into.load(partial), pipeline, rows, scale)
        path.with_name(f"{path.name}.json").write_text(text + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def _reporting(into: FileFormat) -> Iterator[None]:
    """Silence torch, and report its errors in a line."""
    try:
        with _silence():
            yield
    except OSError:
        raise
    except ExportError as error:
        raise ExportError(f"The exported file is wrong, and was not written: {error}") from None
    except PerceptrainError:
        raise
    except Exception as error:  # torch and onnxruntime raise many kinds
        reason = shorten(str(_origin(error)) or type(error).__name__, 300, placeholder=" ...")
        raise ExportError(f"This run cannot be exported as {into.name}: {reason}") from error


def _origin(error: BaseException) -> BaseException:
    """Return the error that was raised first: the others only say in which step it happened."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Discard what torch prints, logs and warns of while it exports."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            open(os.devnull, "w", encoding="utf-8") as nowhere,
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
