"""Search ranges with Optuna: each trial is a variant, and its seeds and folds are averaged."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perceptrain_core.comparisons.comparison import Comparison, choose_folder
from perceptrain_core.comparisons.jobs import Job
from perceptrain_core.comparisons.plan import Plan
from perceptrain_core.comparisons.pruning import Pruning, make_pruner
from perceptrain_core.comparisons.results import Result, make_row
from perceptrain_core.comparisons.settings import Choices, Range, Setting, Variant
from perceptrain_core.errors import MissingDependencyError

if TYPE_CHECKING:
    import optuna

STUDY, ASKED = "study.log", "search.json"


def require_optuna() -> None:
    """Raise if Optuna is not installed.

    Raises:
        MissingDependencyError: It is not.
    """
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            'A search needs Optuna: pip install "perceptrain-core[search]".'
        ) from error


def first_variant(space: Sequence[Choices | Range]) -> Variant:
    """Return the variant of the lower bounds and the first choices, to check the options."""
    return tuple(
        axis.settings[0] if isinstance(axis, Choices) else axis.setting(axis.low) for axis in space
    )


def corners(space: Sequence[Choices | Range]) -> list[Variant]:
    """Return variants in which every choice and every bound occurs."""
    first = first_variant(space)
    found = [first]
    for number, axis in enumerate(space):
        others = axis.settings[1:] if isinstance(axis, Choices) else (axis.setting(axis.high),)
        found += [(*first[:number], other, *first[number + 1 :]) for other in others]
    return found


def search_folder(plan: Plan, space: Sequence[Choices | Range]) -> Path:
    """Return the folder of the search: one that is new, or of the same file and ranges."""
    probe = plan.jobs_of(corners(space)[0])
    asked = {
        "space": [repr(axis) for axis in space],
        "runs": [job.asked for job in probe],
        "by": plan.by,
    }
    number, folder = 1, plan.root
    while (folder / ASKED).exists() and json.loads((folder / ASKED).read_text()) != asked:
        number += 1
        folder = plan.root.with_name(f"{plan.root.name}-{number}")
    folder = choose_folder(folder, probe)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ASKED).write_text(json.dumps(asked) + "\n", encoding="utf-8")
    return folder


@dataclass
class _Open:
    """The trials that wait for the runs of a variant, and the results so far."""

    trials: list[optuna.Trial]
    results: list[Result] = field(default_factory=list)


class Search:
    """A search by Optuna's TPE sampler, whose study is in the folder.

    With one process, the same seed makes the same trials. With more, a trial is chosen before the
    ones that still train are known, so the order in which they end matters.

    Args:
        comparison: The runs, and their folder.
        space: The ranges and choices.
        trials: The number of trials, those of earlier calls included.
        seed: The seed of the sampler.
        pruner: The name of a pruner, which stops bad trials early; none by default.
    """

    def __init__(
        self,
        comparison: Comparison,
        space: Sequence[Choices | Range],
        trials: int,
        seed: int,
        pruner: str | None = None,
    ) -> None:
        self.comparison, self.space, self.trials = comparison, space, trials
        self._pruning: Pruning | None = None
        self._study = _open_study(comparison, seed)
        if pruner is not None:
            self._pruning = Pruning(f"val_{comparison.plan.by}", self._prunes)
            self._study.pruner = make_pruner(pruner)
        self._waiting: deque[Job] = deque()
        self._open: dict[Variant, _Open] = {}
        self._likes = corners(space)

    def run(self) -> None:
        """Train until the study has all of its trials, or a signal arrives."""
        self._restore()
        self.comparison.run(self._next, self._finished, self._pruning)

    def _restore(self) -> None:
        """Add the results of earlier calls; repeat the trials that failed or that a stop left."""
        from optuna.trial import TrialState

        repeated = self._repeated()
        for trial in self._study.trials:
            if trial.state == TrialState.RUNNING:
                self._study.tell(trial.number, state=TrialState.FAIL)
            if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
                for job in self._jobs(self._variant_of(trial.params)):
                    self.comparison.earlier(job)
            elif trial.state != TrialState.WAITING and trial.number not in repeated:
                self._study.enqueue_trial(trial.params, user_attrs={"repeats": trial.number})

    def _next(self) -> Job | None:
        while not self._waiting and (self._queued() or self._begun() < self.trials):
            trial = self._study.ask()
            variant = tuple(_suggest(trial, axis) for axis in self.space)
            self._begin(trial, variant)
        return self._waiting.popleft() if self._waiting else None

    def _begin(self, trial: optuna.Trial, variant: Variant) -> None:
        """Start the runs of a trial, unless an earlier one has the same values."""
        if variant in self._open:
            self._open[variant].trials.append(trial)
            self._tell(variant)
            return
        self._open[variant] = _Open([trial])
        for job in self._jobs(variant):
            if (result := self.comparison.earlier(job)) is not None:
                self._finished(result)
            else:
                self._waiting.append(job)

    def _begun(self) -> int:
        """Count the trials, each once if it was repeated."""
        return len(self._study.trials) - len(self._repeated()) - self._queued()

    def _repeated(self) -> set[int]:
        """Return the numbers of the trials that another one repeats."""
        trials = self._study.get_trials(deepcopy=False)
        return {t.user_attrs["repeats"] for t in trials if "repeats" in t.user_attrs}

    def _queued(self) -> int:
        """Count the trials that are to be repeated."""
        from optuna.trial import TrialState

        return len(self._study.get_trials(deepcopy=False, states=[TrialState.WAITING]))

    def _prunes(self, job: Job, epoch: int, value: float) -> bool:
        """Report the figure of an epoch to the study, and ask whether the trial is pruned."""
        trial = self._open[job.variant].trials[0]
        trial.report(value, epoch)
        return bool(trial.should_prune())

    def _finished(self, result: Result) -> None:
        self._open[result.job.variant].results.append(result)
        self._tell(result.job.variant)

    def _tell(self, variant: Variant) -> None:
        """Report the mean of a variant to the study, once all of its runs have ended."""
        from optuna.trial import TrialState

        plan, runs = self.comparison.plan, self._open[variant]
        if len(runs.results) < len(plan.seeds) * len(plan.folds):
            return
        row = make_row(variant, runs.results)
        value = row.mean.get(f"val_{plan.by}", nan)
        for trial in runs.trials:
            if row.errors:
                self._study.tell(trial, state=TrialState.FAIL)
            elif row.pruned or not isfinite(value):  # NaN: the worst result, not one to repeat
                self._study.tell(trial, state=TrialState.PRUNED)
            else:
                self._study.tell(trial, value)
        runs.trials.clear()

    def _jobs(self, variant: Variant) -> list[Job]:
        return self.comparison.plan.jobs_of(variant, like=self._like(variant))

    def _like(self, variant: Variant) -> Variant:
        """Return the checked variant with the same loss, whose metrics fit."""
        parts = [setting for setting in variant if setting.key in ("loss", "model")]
        return max(self._likes, key=lambda one: sum(setting in one for setting in parts))

    def _variant_of(self, params: dict[str, Any]) -> Variant:
        return tuple(_setting(axis, params[axis.key]) for axis in self.space)


def _open_study(comparison: Comparison, seed: int) -> optuna.Study:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = JournalStorage(JournalFileBackend(str(comparison.folder / STUDY)))
    study = optuna.create_study(
        storage=storage,
        study_name="search",
        direction="maximize" if comparison.plan.higher else "minimize",
        load_if_exists=True,
    )
    # A sampler that starts again must not repeat its first trials.
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))
    return study


def _suggest(trial: optuna.Trial, axis: Choices | Range) -> Setting:
    value: Any
    if isinstance(axis, Choices):
        value = trial.suggest_categorical(axis.key, [setting.text for setting in axis.settings])
    elif isinstance(axis.low, int) and isinstance(axis.high, int):
        value = trial.suggest_int(axis.key, axis.low, axis.high, log=axis.log)
    else:
        value = trial.suggest_float(axis.key, axis.low, axis.high, log=axis.log)
    return _setting(axis, value)


def _setting(axis: Choices | Range, value: Any) -> Setting:
    if isinstance(axis, Range):
        return axis.setting(value)
    return next(setting for setting in axis.settings if setting.text == value)
