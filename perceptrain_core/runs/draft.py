"""Write the run file of a table: what fits its rows, columns and labels, with the reasons."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from textwrap import fill
from typing import Any

import tomli_w

from perceptrain_core.data.tables.survey import TableSurvey
from perceptrain_core.plurals import counted

_LISTED = 8


@dataclass(frozen=True)
class _Size:
    """What suits a table of at most so many rows."""

    rows: int
    hidden: list[int]
    batch_size: int
    epochs: int
    patience: int
    held_out: float
    decay: float


# Small networks and many epochs for few rows; at most about 10,000 steps for many.
_SIZES = (
    _Size(1_000, [64, 64], 32, 200, 20, 0.2, 1.0),
    _Size(10_000, [64, 64], 64, 100, 15, 0.15, 0.01),
    _Size(50_000, [128, 128], 256, 60, 10, 0.1, 0.01),
)
_LARGEST = _Size(0, [256, 256], 512, 40, 6, 0.1, 0.01)


def draft_run_file(file: str, survey: TableSurvey) -> str:
    """Return a run file, with comments that say why.

    Args:
        file: The data file, relative to the folder of the run file.
        survey: What is in it.
    """
    size = next((s for s in _SIZES if survey.rows <= s.rows), _LARGEST)
    columns = counted(len(survey.used), "column")
    parts = [
        f"# Learns {_quoted(survey.labels)} from {columns} of {file!r}.",
        _data(file, survey, size),
        _model(size),
        _loss(survey),
        _optimizer(size),
        _metrics(survey),
        _train(survey, size),
    ]
    return "\n\n".join(parts) + "\n"


def _data(file: str, survey: TableSurvey, size: _Size) -> str:
    labels = survey.labels[0] if len(survey.labels) == 1 else list(survey.labels)
    lines = ["[data]", _line("file", file), _line("labels", labels)]
    if survey.task == "classes":
        lines += ["# Each value of the label is a class.", _line("classes", True)]
    for column in survey.left_out[:_LISTED]:
        lines.append(f"# Left out: {column.name!r} {' '.join((column.refused or '').split())}.")
    if more := survey.left_out[_LISTED:]:
        lines.append(f"# Left out, too: {counted(len(more), 'more column')}.")
    if survey.left_out:
        lines.append(_line("inputs", [f"!{column.name}" for column in survey.left_out]))
    lines += [*_revealing(survey), *_codes(survey), *_missing(survey)]
    lines += [
        "# Brings all columns to one scale; networks train badly without.",
        "standardize = true",
    ]
    if survey.task == "numbers":
        lines += ["# The same for the label; figures and predictions stay in its units."]
        lines += ["scale_labels = true"]
    lines += [
        "# Rows set aside: val chooses the best epoch, test is only looked at in the end.",
        _line("val_fraction", size.held_out),
        _line("test_fraction", size.held_out),
    ]
    if survey.task == "classes":
        lines += ["# Each part gets its share of every class.", "stratify = true"]
    return "\n".join(lines)


def _revealing(survey: TableSurvey) -> list[str]:
    found = [column for column in survey.used if column.reveals]
    lines = [
        f"# {' '.join(repr(column.name).split())} alone tells the label: {column.reveals}."
        for column in found[:_LISTED]
    ]
    if found:
        lines += ['# If new rows will not have it, exclude it: inputs with "!" before the name.']
    return lines


def _codes(survey: TableSurvey) -> list[str]:
    names = [column.name for column in survey.used if column.few][:_LISTED]
    if not names:
        return []
    texts = (tomli_w.dumps({"x": name}).strip().removeprefix("x = ") for name in names)
    return [
        "# Columns of few whole numbers. If some are codes, not amounts, list them as categories:",
        f"# categorical = [{', '.join(texts)}]",
    ]


def _missing(survey: TableSurvey) -> list[str]:
    gaps = [column for column in survey.used if column.gaps]
    if gaps:
        return [
            f"# Fills the gaps of {counted(len(gaps), 'column')}, by median or most frequent text.",
            "# Rows without a label are dropped.",
            'missing = "fill"',
        ]
    if survey.dropped:
        rows = counted(survey.dropped, "row")
        return [f"# Drops {rows} without a label.", 'missing = "drop"']
    return []


def _model(size: _Size) -> str:
    return "\n".join(
        [
            "[model]",
            'name = "ffnn"',
            f"# Two hidden layers, for up to {size.rows} rows; the ends follow from the data."
            if size.rows
            else "# Two hidden layers, for many rows; the ends follow from the data.",
            _line("hidden", size.hidden),
            'activation_function = "relu"',
        ]
    )


def _loss(survey: TableSurvey) -> str:
    if survey.task == "numbers":
        hint = fill(survey.hint, 90, initial_indent="# ", subsequent_indent="# ")
        loss = '# The squared error; "huber" is less sensitive to outliers.\n[loss]\nname = "mse"'
        return f"{hint}\n{loss}" if hint else loss
    most = max(survey.classes, key=lambda name: survey.classes[name])
    share = survey.classes[most] / survey.rows
    lines = [f"# {len(survey.classes)} classes. Always saying {most!r} is right in {share:.1%}."]
    lines += ["[loss]", 'name = "cross_entropy"']
    if not _classification_metrics():
        lines.append("accuracy = true")
    return "\n".join(lines)


def _optimizer(size: _Size) -> str:
    return "\n".join(
        [
            "# If the loss jumps, divide lr by 3. weight_decay keeps the weights small, which",
            "# prevents overfitting: the fewer rows, the more.",
            "[optimizer]",
            'name = "adamw"',
            "lr = 1e-3",
            _line("weight_decay", size.decay),
        ]
    )


def _metrics(survey: TableSurvey) -> str:
    if survey.task == "numbers":
        return (
            "# rmse is in the units of the label; r2 is 1 for perfect and 0 for the mean.\n"
            "[metrics]\nrmse = {}\nr2 = {}"
        )
    if not _classification_metrics():
        return '# More metrics, such as f1, need: pip install "perceptrain-core[metrics]"'
    return (
        "# accuracy is the share of right rows; f1 counts rare classes as much as common ones.\n"
        '[metrics]\naccuracy = {}\nf1 = {average = "macro"}'
    )


def _train(survey: TableSurvey, size: _Size) -> str:
    return "\n".join(
        [
            "[train]",
            "# At most; training stops earlier, see below.",
            _line("max_iter", size.epochs),
            _line("batch_size", size.batch_size),
            "# The same seed repeats the run.",
            "seed = 0",
            "",
            "# Stops when the loss on the val rows has not improved for so many epochs, and",
            "# restores the weights of the best one.",
            "[[callbacks]]",
            'name = "early_stopping"',
            'on = "val_epoch_end"',
            'monitor = "val_loss"',
            _line("patience", size.patience),
            "restore_best = true",
        ]
    )


def _classification_metrics() -> bool:
    return find_spec("torchmetrics") is not None


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(map(repr, names))


def _line(key: str, value: Any) -> str:
    """Return a line of TOML, with the escapes that the value needs."""
    if isinstance(value, list) and all(isinstance(item, int) for item in value):
        return f"{key} = {value}"
    return tomli_w.dumps({key: value}).strip()


def relative_data_file(data: Path, run_file: Path) -> str:
    """Return the path of a data file as a run file should name it."""
    import os

    return Path(os.path.relpath(data.absolute(), run_file.absolute().parent)).as_posix()
