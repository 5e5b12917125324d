"""The ``write_plots`` callback: log the figures of ``config.plotting_functions``."""

from __future__ import annotations

from perceptrain_core.callbacks.base import Callback
from perceptrain_core.callbacks.context import TrainerContext
from perceptrain_core.config import TrainConfig
from perceptrain_core.models.modes import evaluating
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.user_warnings import warn_user


class WritePlots(Callback):
    """Call ``config.plotting_functions`` and log their figures to the tracker.

    Accepts the arguments of `Callback`; by default it runs at the end of every epoch.
    """

    def begin_run(self, trainer: TrainerContext, resumed: bool) -> None:
        """Warn if there are no plotting functions.

        Warns:
            UserWarning: There are no plotting functions.
        """
        if not trainer.config.plotting_functions:
            warn_user(
                "There is nothing to plot: pass TrainConfig(plotting_functions=(f,)), with "
                "f(model, iteration) -> (name, figure)."
            )

    def run_callback(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> None:
        """Call each plotting function with the model, in evaluation mode, and the epoch."""
        with evaluating(trainer.model):
            writer.plot(trainer.model, trainer.opt_result.iteration, config.plotting_functions)
