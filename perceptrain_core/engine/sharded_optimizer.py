"""An optimizer whose parameters are the shards of this process."""

from __future__ import annotations

import copy
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Container, Iterator, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer

from perceptrain_core.errors import TrainingError
from perceptrain_core.optimizer_steps import stages_of

Convert = Callable[[Tensor, Any], Any]


def replace_parameters(optimizer: Any, new: Mapping[Tensor, Tensor], convert: Convert) -> None:
    """Replace parameters of an optimizer in place, with their state, in the same order.

    Args:
        optimizer: The optimizer; those that it consists of are changed, too.
        new: The new parameter for each old one; others stay.
        convert: ``convert(old, value)`` returns the new value of a state of a parameter.
    """
    seen: set[int] = set()
    for each in _with_nested(optimizer):
        for group in each.param_groups:
            if id(group) not in seen:
                seen.add(id(group))
                group["params"] = [new.get(p, p) for p in group["params"]]
        if id(each.state) not in seen:
            seen.add(id(each.state))
            old = dict(each.state)
            each.state.clear()
            while old:  # what is converted is not kept: there may be no room for both
                parameter = next(iter(old))
                converted = _converted(parameter, old.pop(parameter), convert)
                each.state[new.get(parameter, parameter)] = converted


def share_states(optimizer: Any, outlined: Container[Tensor]) -> None:
    """Let the optimizers of all processes have the state of the first, without its large tensors.

    Args:
        optimizer: The optimizer, with equal parameters in all processes.
        outlined: Tensors of the shape of one of these parameters are on the device "meta" in the
            other processes.
    """
    parts = list(_with_nested(optimizer))
    own = [_outlines(each, outlined) for each in parts] if dist.get_rank() == 0 else []
    holder = [own]
    dist.broadcast_object_list(holder, src=0)
    if dist.get_rank() == 0:
        return
    for each, outlines in zip(parts, holder[0], strict=True):
        parameters = [p for group in each.param_groups for p in group["params"]]
        for parameter in parameters:
            each.state.pop(parameter, None)
        for number, state in outlines:
            each.state[parameters[number]] = state


def _outlines(
    optimizer: Optimizer, outlined: Container[Tensor]
) -> list[tuple[int, dict[str, Any]]]:
    """Describe the state of each parameter, in the order in which the optimizer has them."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    numbers = {parameter: number for number, parameter in enumerate(parameters)}
    return [
        (numbers[p], _outline(state, p.shape) if p in outlined else state)
        for p, state in optimizer.state.items()
        if p in numbers
    ]


def _outline(state: dict[str, Any], shape: torch.Size) -> dict[str, Any]:
    return {
        name: torch.empty_like(value, device="meta")
        if isinstance(value, Tensor) and value.shape == shape
        else value
        for name, value in state.items()
    }


def _converted(parameter: Any, state: Any, convert: Convert) -> Any:
    if not isinstance(parameter, Tensor) or not isinstance(state, dict):
        return state
    return {name: convert(parameter, value) for name, value in state.items()}


def _with_nested(optimizer: Any) -> Iterator[Optimizer]:
    """Yield an optimizer and those that it consists of."""
    found: dict[int, Optimizer] = {}
    waiting: list[Any] = [optimizer]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Optimizer) and id(item) not in found:
            found[id(item)] = item
            waiting += vars(item).values()
        elif isinstance(item, list | tuple) and len(item) < 100:
            waiting += [part for part in item if isinstance(part, Optimizer)]
        elif isinstance(item, dict) and len(item) < 100:
            waiting += [part for part in item.values() if isinstance(part, Optimizer)]
    yield from found.values()


def require_steps_on_shards(
    optimizer: Any, shard: Callable[[Tensor], Any], device: torch.device
) -> float:
    """Check that an optimizer takes the same steps on sharded parameters as on whole ones.

    Copies of it take a few steps on a small matrix, whole and sharded.

    Args:
        optimizer: The optimizer.
        shard: Returns a tensor as a ``DTensor`` over all processes, which all call this.
        device: The device to try it on.

    Returns:
        How many numbers the optimizer keeps for each parameter, such as 2 for Adam.

    Raises:
        TrainingError: It fails, or the results differ.
    """
    numbers = 0.0
    for each in _parts(optimizer):
        for group in each.param_groups:
            numbers = max(numbers, _tried(each, group, shard, device))
    return numbers


def _parts(optimizer: Any) -> list[Any]:
    found: list[Any] = []
    for stage in stages_of(optimizer):
        found += getattr(stage, "optimizers", {"": stage}).values()
    return found


def _tried(
    optimizer: Any, group: dict[str, Any], shard: Callable[[Tensor], Any], device: torch.device
) -> float:
    """Take steps with copies; return the size of the state for each element."""
    first = next(iter(group["params"]), None)
    if first is None:
        return 0.0
    generator = torch.Generator().manual_seed(0)
    like: dict[str, Any] = {"dtype": first.dtype, "device": device}
    start, *gradients = (torch.randn(6, 4, generator=generator).to(**like) for _ in range(4))
    try:
        with torch.random.fork_rng(devices=[]):
            whole, kept = _stepped(optimizer, group, start, gradients)
            shared, _ = _stepped(optimizer, group, shard(start), [shard(g) for g in gradients])
            same = torch.allclose(whole, shared.full_tensor(), rtol=1e-4, atol=1e-6)
    except Exception as error:
        raise _refused(optimizer, f"its step fails with {type(error).__name__}") from error
    if not same:
        raise _refused(optimizer, "its step of a sharded matrix is another one")
    return kept / start.numel()


def _stepped(
    optimizer: Any, group: dict[str, Any], start: Tensor, gradients: list[Tensor]
) -> tuple[Any, float]:
    parameter = nn.Parameter(start.clone())
    twin = _twin(optimizer, group, [parameter])
    for gradient in gradients:
        parameter.grad = gradient.clone()
        type(twin).step(twin)
    states = [value for state in twin.state.values() for value in state.values()]
    return parameter.detach(), sum(v.numel() for v in states if isinstance(v, Tensor))


def _refused(optimizer: Any, reason: str) -> TrainingError:
    return TrainingError(
        f"{type(optimizer).__name__} cannot train a sharded model: {reason}. Use "
        'strategy="ddp", or another optimizer, such as AdamW or SGD.'
    )


def _twin(optimizer: Any, group: dict[str, Any], parameters: list[nn.Parameter]) -> Any:
    """Return a copy of an optimizer, without state and hooks, for other parameters."""
    twin = copy.copy(optimizer)
    options = {**group, "params": parameters}
    if "lr" in group:  # a warm-up starts at 0
        options["lr"] = 0.01
    twin.__dict__["param_groups"], twin.__dict__["state"] = [options], defaultdict(dict)
    for name in ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks"):
        twin.__dict__[name] = OrderedDict()
    return twin


def require_one_kind(optimizer: Any, sharded: Container[Tensor]) -> None:
    """Refuse kernels that would get tensors and ``DTensor`` objects together."""
    for group in optimizer.param_groups:
        kinds = {parameter in sharded for parameter in group["params"]}
        device = next((p.device.type for p in group["params"]), "cpu")
        together = group.get("fused") or group.get("foreach", device != "cpu" or None)
        if len(kinds) == 2 and together is not False and together is not None:
            raise TrainingError(
                "A group of the optimizer has parameters that are sharded and others that stay "
                "whole, such as scalars or those of the loss, and steps them together. Put the "
                "others into a group of their own, or create the optimizer with foreach=False."
            )
