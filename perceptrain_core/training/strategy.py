"""How several processes train one model: each with all of it, or each with a share."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import nn

from perceptrain_core.config import TrainConfig
from perceptrain_core.engine import Engine
from perceptrain_core.engine.fully_sharded import FullySharded
from perceptrain_core.engine.scattering import sharder
from perceptrain_core.engine.sharded_optimizer import require_steps_on_shards
from perceptrain_core.errors import TrainingError
from perceptrain_core.training.processes import check_supports_processes
from perceptrain_core.training.run_parts import RunParts

# The share of the memory that a model may fill; activations and the batches need the rest.
_SHARE = 0.7


def choose_strategy(config: TrainConfig, engine: Engine, model: nn.Module, optimizer: Any) -> str:
    """Return the strategy of a run, ``"ddp"`` or ``"fsdp"``; a single process has no use for one.

    Args:
        config: The settings.
        engine: Connects the processes.
        model: The model.
        optimizer: The optimizer.

    Raises:
        TrainingError: The model is to be sharded, and a setting or the optimizer rules that out.
    """
    if engine.world_size == 1 or config.strategy == "ddp":
        return "ddp"
    check_supports_processes(optimizer)
    if config.strategy == "fsdp":
        _refuse_settings(config)
        return "fsdp"
    try:
        kept = require_steps_on_shards(optimizer, sharder(engine.device), engine.device)
        _refuse_settings(config)
    except TrainingError:  # it can only be trained whole
        return "ddp"
    needed, available = _needed(model, kept), _available(engine.device)
    strategy = engine.broadcast("fsdp" if needed > _SHARE * available else "ddp")
    if config.verbose:
        print(
            f'strategy="auto": {strategy}, since the model, its gradients and the optimizer\'s '
            f"state need {needed / 2**30:.2f} GiB of {available / 2**30:.1f} GiB in each process."
        )
    return strategy


def shard_parts(config: TrainConfig, parts: RunParts, engine: Engine) -> FullySharded:
    """Divide a model, its average and its optimizer between the processes.

    Raises:
        TrainingError: The optimizer cannot step shards, or ``shard_modules`` does not fit.
    """
    return FullySharded(
        parts.model,
        parts.optimizer,
        parts.loss_fn,
        config.shard_modules,
        config.reshard_after_forward,
        engine.device,
        engine.dtype,
        None if parts.averaged_model is None else parts.averaged_model.module,
    )


def _refuse_settings(config: TrainConfig) -> None:
    if config.compile:
        raise TrainingError(
            'compile=True captures a step with whole parameters, and strategy="fsdp" gathers them '
            "while the step runs: leave out one of them."
        )


def _needed(model: nn.Module, kept: float) -> float:
    """Return the bytes of parameters, gradients, their buckets, and the optimizer's state."""
    every = sum(p.numel() * p.element_size() for p in model.parameters())
    trained = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    return every + (2 + kept) * trained


def _available(device: torch.device) -> float:
    """Return the bytes of memory for one process."""
    if device.type == "cuda":
        return float(torch.cuda.get_device_properties(device).total_memory)
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / local
