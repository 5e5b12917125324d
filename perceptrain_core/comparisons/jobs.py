"""One run of a comparison: its settings, its folder, and whether it is finished."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perceptrain_core.comparisons.settings import Variant
from perceptrain_core.runs.file_names import STATE
from perceptrain_core.runs.read import read_run_file

_LONGEST = 80
#: Settings whose names as folders differ if they do.
_PLAIN = re.compile(r"(?!.*(\[\[|\]\]))[\w.+\-=:,\[\] ]+", re.ASCII)


@dataclass(frozen=True)
class Job:
    """A run of a variant with a seed, on a fold.

    Attributes:
        variant: What is varied.
        seed: The seed.
        fold: The fold, from 1; ``None`` without folds.
        path: The run file.
        overrides: What ``perceptrain train --set`` would set for this run.
        name: The name of its folder.
        asked: The tables with digests of the files that they name; equal for equal runs.
    """

    variant: Variant
    seed: int
    fold: int | None
    path: Path
    overrides: tuple[str, ...]
    name: str
    asked: dict[str, Any]

    @property
    def label(self) -> str:
        """The run in words."""
        fold = "" if self.fold is None else f", fold {self.fold}"
        return f"{label_of(self.variant)}, seed {self.seed}{fold}"


def make_job(
    path: Path, variant: Variant, seed: int, fold: int | None, overrides: list[str]
) -> Job:
    """Make a job; ``overrides`` holds all but seed and fold."""
    own = [*overrides, f"train.seed={seed}", *([] if fold is None else [f"data.fold={fold}"])]
    asked = read_run_file(path, own).model_dump(mode="json", exclude={"provenance"})
    asked["files"] = {str(file): _digest(file) for file in sorted(_files(asked))}
    suffix = "" if fold is None else f"-fold_{fold}"
    return Job(variant, seed, fold, path, tuple(own), f"{slug(variant)}-seed_{seed}{suffix}", asked)


def label_of(variant: Variant) -> str:
    """The variant in words."""
    return " ".join(setting.label for setting in variant) or "as in the file"


def slug(variant: Variant) -> str:
    """The variant as the name of a folder, the same for the same settings."""
    label = label_of(variant)
    name = re.sub(r"[^\w.+-]+", "_", label).strip("_.")
    if _PLAIN.fullmatch(label) and len(name) < _LONGEST:
        return name
    # Other texts may have the same name.
    settings = json.dumps([(setting.key, setting.override) for setting in variant])
    return f"{name[:_LONGEST]}-{hashlib.sha256(settings.encode()).hexdigest()[:6]}"


def read_state(folder: Path) -> dict[str, Any] | None:
    """Read what a folder was made for; ``None`` if that cannot be read."""
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return state if isinstance(state, dict) else None


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Write it so that a process that is killed leaves the old or the new file."""
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f"{STATE}.new"
    new.write_text(json.dumps(state) + "\n", encoding="utf-8")
    new.replace(folder / STATE)


def finished_state(folder: Path, job: Job) -> dict[str, Any] | None:
    """Return the state of a finished or pruned run with the settings of the job, or ``None``."""
    state = read_state(folder)
    if state is None or state.get("asked") != job.asked or not state.keys() & {"figures", "pruned"}:
        return None
    return state


def _files(value: Any) -> Iterator[Path]:
    """Yield the data file and the Python files that tables name."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _files(item)
    if isinstance(value, str) and len(value) < 1000:
        path = Path(re.sub(r"(?<=\.py):[\w.]+$", "", value))
        if path.is_absolute() and path.is_file():
            yield path


@functools.cache
def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
