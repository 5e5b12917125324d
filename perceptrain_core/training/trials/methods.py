"""The methods of the trainer that train for a few steps, and restore everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from perceptrain_core.analysis.information_content import InformationContent
from perceptrain_core.training.context import TrainingContext
from perceptrain_core.training.run_data import make_epochs
from perceptrain_core.training.trials.batch_callbacks import BatchCallbacks
from perceptrain_core.training.trials.lr_finder import LRFinderResult, LRFinderSettings, find_lr
from perceptrain_core.training.trials.overfit import OverfitResult, OverfitSettings, overfit_batch
from perceptrain_core.training.trials.profiler import ProfileResult, check_steps, profile
from perceptrain_core.training.trials.sandbox import sandbox


class Trials:
    """The trials of a `Trainer`."""

    def find_lr(
        self: TrainingContext,
        train_dataloader: Any = None,
        *,
        min_lr: float = 1e-7,
        max_lr: float = 10.0,
        steps: int = 100,
        smoothing: float = 0.9,
        divergence: float = 4.0,
    ) -> LRFinderResult:
        """Find a learning rate by the range test of Smith (arXiv 1506.01186).

        A short training in which the rate rises exponentially from ``min_lr`` to ``max_lr``, until
        the loss diverges. Several parameter groups keep the ratios of their rates. Everything is
        restored afterwards: the model, the loss, the optimizer and its rates, the random
        generators including the loader's. Nothing is written, and no callback is called. Only the
        batches of an iterator that cannot restart are lost.

        Args:
            train_dataloader: Used instead of the data passed before; repeated as needed.
            min_lr: The first rate.
            max_lr: The last rate.
            steps: The number of batches.
            smoothing: The weight of the past in the moving average of the losses.
            divergence: The test ends when the smoothed loss exceeds the lowest by this factor.

        Returns:
            The ``lrs`` tried, the ``losses`` at them and the ``smoothed`` losses; ``suggestion``, a
            tenth of the rate with the lowest smoothed loss (``None`` if the loss never fell);
            ``diverged``; and ``plot()``, which returns a matplotlib figure.

        Raises:
            ConfigError: An argument is out of range.
            DataError: The data cannot be trained on.
            TrainingError: There is no optimizer, or it has no learning rates.
            NonFiniteLossError: The first loss is NaN or infinite.
        """
        data = self.train_dataloader if train_dataloader is None else train_dataloader
        settings = LRFinderSettings(min_lr, max_lr, steps, smoothing, divergence)
        with sandbox(self, data) as (step, position):
            return find_lr(step, position, self.optimizer, settings)

    def overfit_batch(
        self: TrainingContext,
        batch: Any = None,
        *,
        train_dataloader: Any = None,
        steps: int = 200,
        target: float = 0.1,
    ) -> OverfitResult:
        """Train on a single batch, to see before a long run whether the model can learn at all.

        A model, a loss and an optimizer that fit together bring the loss of a small batch close to
        zero. Everything is restored afterwards, as by `find_lr`.

        Args:
            batch: The batch; by default the first of the training data.
            train_dataloader: Where it comes from, instead of the data passed before.
            steps: The number of steps on it.
            target: The loss has to fall to this share of its first value, or below.

        Returns:
            The ``losses``, ``first`` and ``last``; ``ratio``, the share of the loss that is left;
            ``passed``; and ``verdict``, a sentence that says what to check if it did not pass.

        Raises:
            ConfigError: An argument is out of range.
            DataError: The data cannot be trained on.
            LossContractError: The loss breaks the contract.
            TrainingError: There is no optimizer.
            NonFiniteLossError: The first loss is NaN or infinite.
        """
        settings = OverfitSettings(steps, target)
        data = self.train_dataloader if train_dataloader is None else train_dataloader
        with sandbox(self, data if batch is None else None) as (step, position):
            batch = position.epochs.first() if batch is None else batch
            return overfit_batch(step, batch, self.optimizer, settings)

    def profile(
        self: TrainingContext,
        train_dataloader: Any = None,
        *,
        steps: int = 20,
        callbacks: bool = True,
    ) -> ProfileResult:
        """Measure where the time of a training step goes.

        Takes a first step that does not count, and then ``steps`` steps that are measured.
        Everything is restored afterwards, as by `find_lr`. Moving averages and schedules are not
        part of the measured steps. On a GPU each section is waited for, so the steps are slower
        than in a fit.

        Args:
            train_dataloader: Used instead of the data passed before; repeated as needed.
            steps: The number of steps.
            callbacks: Whether to call the callbacks and hooks of batches: on copies, without a
                tracker, and except those that save the run. What a function of yours changes
                elsewhere is not restored.

        Returns:
            The ``seconds`` and ``shares`` of ``"data"``, ``"loss"``, ``"backward"``,
            ``"optimizer"`` and ``"callbacks"``; ``steps_per_second``; and a table, if printed.

        Raises:
            ConfigError: ``steps`` is not a positive integer.
            DataError: The data cannot be trained on.
            LossContractError: The loss breaks the contract.
            TrainingError: The trainer has no optimizer, or a callback cannot be copied.
            NonFiniteLossError: A loss is NaN or infinite.
        """
        check_steps(steps)
        data = self.train_dataloader if train_dataloader is None else train_dataloader
        with sandbox(self, data) as (step, position):
            called = BatchCallbacks(self, callbacks)
            return profile(step.stepper, position, called, self.engine.place, steps)

    def get_ic_grad_bounds(
        self: TrainingContext,
        eta: float,
        epsilons: Tensor | Sequence[float],
        variation_multiple: int = 20,
        dataloader: Any = None,
    ) -> tuple[float, float, float]:
        """Bound the norm of the loss's gradient around the model by its information content.

        Args:
            eta: For the sensitivity: above 0, at most 1/6.
            epsilons: Thresholds to try: positive numbers.
            variation_multiple: Steps of the random walk per parameter.
            dataloader: Its first batch is used; by default that of the training data.

        Returns:
            The lower and upper bound from the maximal information content, and the upper bound
            from its sensitivity. `InformationContent` explains them, and lists what is raised.
        """
        data = self.train_dataloader if dataloader is None else dataloader
        self.engine.prepare(self.model, self.optimizer, self.loss_fn)
        batch = self.engine.place(make_epochs(self, data, "train").first())
        found = InformationContent(self.model, self.loss_fn, batch, epsilons, variation_multiple)
        sensitive = found.get_grad_norm_bounds_sensitivity_IC(eta)
        return (*found.get_grad_norm_bounds_max_IC(), sensitive)
