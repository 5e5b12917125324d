"""What a fit prints about its start and its end."""

from __future__ import annotations

from pathlib import Path

from perceptrain_core.config import TrainConfig
from perceptrain_core.plurals import counted
from perceptrain_core.training.run_state import RunState


def resuming(path: Path, state: RunState, batch: int, config: TrainConfig) -> str:
    """Return what a resumed run says at its start.

    Args:
        path: The checkpoint.
        state: The restored counters.
        batch: Batches of the current epoch that are done.
        config: The settings.
    """
    done, steps = state.current_epoch, state.global_step
    if done >= config.max_iter:
        reached = f"{counted(done, 'epoch')}, and max_iter is {config.max_iter}"
        return f"Nothing left to train: {path.name} has {reached}."
    if config.max_steps is not None and steps >= config.max_steps:
        reached = f"{counted(steps, 'step')}, and max_steps is {config.max_steps}"
        return f"Nothing left to train: {path.name} has {reached}."
    batches = f" and {counted(batch, 'batch', 'batches')}" if batch else ""
    return f"Resuming from {path}, after {counted(done, 'epoch')}{batches}."


def stopping(
    reason: str, state: RunState, config: TrainConfig, saved: Path | None, option: str
) -> str:
    """Return what a run says if it stops before its last epoch is complete.

    Args:
        reason: The name of a signal or of a setting, or ``"stop_training"``.
        state: The counters.
        config: The settings.
        saved: The checkpoint that was saved, if any.
        option: The option that resumes the run.
    """
    limit = getattr(config, reason, None)
    cause = reason if limit is None else f"{reason}={limit:g}"
    what = "Interrupted" if reason == "SIGINT" else f"Stopped by {cause}"
    complete = len(state.history)
    count = "1 epoch is" if complete == 1 else f"{complete} epochs are"
    epoch = state.opt_result.iteration
    # The signal may come while the end of an epoch is written.
    place = "in" if complete < epoch else "after"
    text = f"{what} {place} epoch {epoch}; {count} complete."
    if saved is None:
        return text
    more = " and a larger max_steps" if reason == "max_steps" else ""
    return f"{text} Saved as {saved.name}: resume from it with {option}{more}."
