"""Check the variants of a comparison before anything is trained, and choose its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from perceptrain_core.comparisons.jobs import Job, make_job
from perceptrain_core.comparisons.settings import Variant
from perceptrain_core.data.files.folds import are_classes
from perceptrain_core.data.files.splits import rows_of_tensors
from perceptrain_core.errors import ConfigError, OptionError, RegistryError
from perceptrain_core.losses.support.outputs import output_activation
from perceptrain_core.registry import registry
from perceptrain_core.registry.messages import listed, one_line
from perceptrain_core.runs.build import build_run, complete_config
from perceptrain_core.runs.read import read_run_file
from perceptrain_core.runs.run import Run
from perceptrain_core.suggestions import did_you_mean

_REGRESSION, _CLASSES = ("rmse", "mae", "r2"), ("accuracy", "f1")


@dataclass
class Checked:
    """A variant that can be built.

    Attributes:
        overrides: What ``--set`` would set, with the metrics of the comparison.
        figures: The validation figures of one batch, without ``val_``.
        metrics: Those that mean the same with any loss.
        higher: Whether a higher value of a figure is better.
        fault: Why one batch could not be trained; empty if it could.
        loss: What the loss is, to compare losses with each other.
    """

    overrides: list[str]
    figures: list[str]
    metrics: list[str]
    higher: dict[str, bool]
    fault: str
    loss: Any


@dataclass
class Plan:
    """What a comparison trains and compares.

    Attributes:
        path: The run file.
        base: What ``--set`` would set in all variants.
        checked: The overrides of variants that were checked.
        metrics: The figures that can be compared.
        by: The figure by which the variants are sorted, without ``val_``.
        higher: Whether a higher value of it is better.
        seeds: The seeds.
        folds: The folds; ``None`` alone if there are none.
        root: The folder of the comparison, unless it has runs of other settings.
        faults: The variants of which one batch could not be trained, with the error.
    """

    path: Path
    base: list[str]
    checked: dict[Variant, Checked]
    metrics: list[str]
    by: str
    higher: bool
    seeds: range
    folds: list[int | None]
    root: Path

    @property
    def faults(self) -> dict[Variant, str]:
        """The variants whose first batch failed, and why."""
        return {variant: one.fault for variant, one in self.checked.items() if one.fault}

    def jobs_of(self, variant: Variant, like: Variant | None = None) -> list[Job]:
        """Return the runs of a variant: every seed on every fold.

        Args:
            variant: The variant.
            like: The variant that was checked in its place, if it was not checked itself.
        """
        metrics = self.checked[variant if like is None else like].overrides
        overrides = [*self.base, *overrides_of(variant), *metrics]
        return [
            make_job(self.path, variant, seed, fold, overrides)
            for seed in self.seeds
            for fold in self.folds
        ]


def make_plan(
    path: Path,
    base: list[str],
    variants: Sequence[Variant],
    seeds: int = 1,
    by: str | None = None,
    suffix: str = "compare",
) -> Plan:
    """Build each variant and try it on one batch.

    Args:
        path: The run file.
        base: What ``--set`` would set in all variants.
        variants: The variants.
        seeds: The number of seeds; the first is that of the file, or 0.
        by: The figure to sort by; by default the first of ``[metrics]``, else ``rmse`` or
            ``accuracy``.
        suffix: Ends the name of the folder.

    Raises:
        ConfigError: A variant cannot be built, there are no validation data, or ``by`` is unknown.
    """
    run_file = read_run_file(path, base)
    config = complete_config(run_file, path)
    folds = run_file.data.folds if run_file.data.cross_validated else None
    checked = {variant: _check(path, base, variant, folds is not None, by) for variant in variants}
    first = config.seed or 0
    by, higher = _choose(by, list(checked.values()))
    return Plan(
        path=path,
        base=base,
        checked=checked,
        metrics=_comparable(list(checked.values())),
        by=by,
        higher=higher,
        seeds=range(first, first + seeds),
        folds=[None] if folds is None else list(range(1, folds + 1)),
        root=config.root_folder / f"{config.log_folder}-{suffix}",
    )


def overrides_of(variant: Variant) -> list[str]:
    """Return what ``--set`` would set for a variant."""
    return [setting.override for setting in variant if setting.override]


def sort_key(value: float | None, higher: bool) -> float:
    """Return a number that sorts the best value first and missing ones last."""
    if value is None or value != value:
        return inf
    return -value if higher else value


def _check(path: Path, base: list[str], variant: Variant, folds: bool, by: str | None) -> Checked:
    overrides = [*base, *overrides_of(variant)]
    if folds:
        overrides.append("data.fold=1")
    try:
        run = _built(path, overrides)
        _refuse_weighting(run, variant)
        loss = run.run_file.loss, run.run_file.weighting
        row, fault = _tried(run)
        metrics = _metrics(run, row, by)
        if metrics and not fault:
            run = _built(path, [*overrides, *metrics])
            row, missing = _tried(run)
            metrics = [] if missing else metrics  # the metrics do not fit this model
    except (ConfigError, OptionError, RegistryError) as error:
        options = " ".join(f"--{_option(setting.key, setting.text)}" for setting in variant)
        raise ConfigError(f"{options}: {error}" if options else str(error)) from error
    figures = [name.removeprefix("val_") for name in row if name.startswith("val_")]
    labels = run.trainer.metrics
    shared = [name for name in figures if _label(name, labels) or name == "accuracy"]
    higher = {name: _is_higher(name, labels) for name in figures}
    return Checked(metrics, figures, shared, higher, fault, loss)


def _option(key: str, text: str) -> str:
    return f"set {key}={text}" if "." in key or key == "seed" else f"{key} {text}"


def _built(path: Path, overrides: list[str]) -> Run:
    run = build_run(read_run_file(path, overrides), path)
    if run.splits.val is None:
        raise ConfigError(
            "A comparison needs validation data: set val_fraction or folds in [data], or name a "
            "data set that returns validation data too."
        )
    return run


def _tried(run: Run) -> tuple[dict[str, float], str]:
    """Return the figures of one batch, or the error."""
    run.trainer.config.val_every = run.trainer.config.val_every or 1
    try:
        return run.try_one_batch(), ""
    except Exception as error:
        return {}, one_line(error)


def _refuse_weighting(run: Run, variant: Variant) -> None:
    off = any(setting.key == "weighting" and not setting.override for setting in variant)
    if off and run.run_file.weighting is not None:
        raise ConfigError(
            "The run file has a [weighting], which an option cannot remove: take it out of the "
            "file, and name it with --weighting."
        )


def _metrics(run: Run, row: dict[str, float], by: str | None) -> list[str]:
    """Return overrides that add the metrics to compare, unless the run has them."""
    have = {*run.trainer.metrics, *(name.partition("_")[2] for name in row)}
    wanted = [] if run.trainer.metrics else [*_defaults(run)]
    if by is not None and by in registry().catalogue("metric"):
        wanted.append(by)
    return [f"metrics.{name}={{}}" for name in dict.fromkeys(wanted) if name not in have]


def _defaults(run: Run) -> Sequence[str]:
    tensors = rows_of_tensors(run.splits.train) or ()
    if len(tensors) < 2:
        return ()
    if are_classes(tensors[1]) or output_activation(run.trainer.loss_fn) == "sigmoid":
        return _CLASSES
    return _REGRESSION


def _label(name: str, metrics: Mapping[str, Any]) -> str:
    """Return the label of the metric that a figure belongs to, such as ``f1`` for ``f1_0``."""
    exact = [label for label in metrics if name == label]
    return next(iter(exact or [x for x in metrics if name.startswith(f"{x}_")]), "")


def _is_higher(name: str, metrics: Mapping[str, Any]) -> bool:
    return bool(getattr(metrics.get(_label(name, metrics)), "higher_is_better", name == "accuracy"))


def _comparable(checked: list[Checked]) -> list[str]:
    """Return the figures that mean the same in every variant."""
    same_loss = all(one.loss == checked[0].loss for one in checked)
    names = dict.fromkeys(name for one in checked for name in one.figures)
    means = dict.fromkeys(name for one in checked for name in one.metrics)
    if not same_loss:
        return list(means)
    # The loss comes last: by default, a metric is compared.
    return [*means, *(n for n in names if n not in means and n != "loss"), "loss"]


def _choose(by: str | None, checked: list[Checked]) -> tuple[str, bool]:
    names = _comparable(checked)
    if by is not None and by.removeprefix("val_") not in names:
        why = (
            "the losses differ, so their values cannot be compared"
            if by.removeprefix("val_") == "loss"
            else "no such figure of the validation"
        )
        raise ConfigError(f"--by {by}: {why}.{did_you_mean(by, names)} Known: {listed(names)}.")
    if not names:
        if faults := [one.fault for one in checked if one.fault]:
            raise ConfigError(f"Nothing can be compared, because a batch failed: {faults[0]}")
        raise ConfigError(
            "No figure is comparable between these variants: add a metric over the data set, for "
            "example rmse = {} in [metrics]."
        )
    chosen = by.removeprefix("val_") if by is not None else names[0]
    return chosen, any(one.higher.get(chosen, False) for one in checked)
