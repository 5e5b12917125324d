"""A loss with the batch and the model it is checked on, and what an evaluation changes."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.data import data_to_device
from perceptrain_core.random_state import seed_everything
from perceptrain_core.testing.settings import kept_settings

#: The observed properties of each thing, by its name.
Snapshot = dict[str, dict[str, Any]]


@dataclass
class Case:
    """A loss with the batch and the model that it is checked on."""

    loss_fn: Callable[..., Any]
    batch: Any
    model: nn.Module

    def copy(self) -> Case:
        """Copy all three together, so that the copies share what the originals share."""
        return Case(*copy.deepcopy((self.loss_fn, self.batch, self.model)))

    def evaluate(self, *, train: bool, grad: bool, seed: int = 0) -> Any:
        """Evaluate the loss from a fixed random state, in training or evaluation mode."""
        for module in (self.model, self.loss_fn):
            if isinstance(module, nn.Module):
                module.train(train)
        seed_everything(seed)
        with kept_settings(), torch.set_grad_enabled(grad):
            return self.loss_fn(self.batch, self.model)

    def step_on(self, batch: Any) -> Any:
        """Evaluate the loss as a training step does, on a copy of a batch."""
        self.batch = copy.deepcopy(batch)
        return self.evaluate(train=True, grad=True)

    def to_float64(self) -> None:
        """Cast the floating-point numbers of the model, the batch and the loss."""
        for module in (self.model, self.loss_fn):
            if isinstance(module, nn.Module):
                module._apply(_widened)  # type: ignore[no-untyped-call]
        self.batch = data_to_device(self.batch, dtype=torch.float64)

    def to_device(self, device: str) -> None:
        """Move the model, the batch and the loss."""
        for module in (self.model, self.loss_fn):
            if isinstance(module, nn.Module):
                module.to(device)
        self.batch = data_to_device(self.batch, device=device)

    def disturb_parameters(self) -> None:
        """Perturb every parameter of the model."""
        seed_everything(0)
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.05)

    def snapshot(self, *, buffers: bool, state: bool = False) -> Snapshot:
        """Record everything that an evaluation must not change.

        Args:
            buffers: Whether to include the model's buffers, which may change during training.
            state: Whether to include the state of the loss, which may change during training.
        """
        tensors = dict(leaves(self.batch, "batch"))
        tensors |= {f"the parameter {n!r}": p for n, p in self.model.named_parameters()}
        if buffers:
            tensors |= {f"the buffer {n!r}": b for n, b in self.model.named_buffers()}
        modules = self.model.named_modules()
        modes = {f"the training mode of {n or 'the model'}": m.training for n, m in modules}
        hooks = {
            f"the hooks of {n or 'the model'}": _hooks(m) for n, m in self.model.named_modules()
        }
        values = tensors | modes | hooks
        if state and hasattr(self.loss_fn, "state_dict"):
            values |= dict(leaves(self.loss_fn.state_dict(), "the state of the loss"))
        return {name: observed(value) for name, value in values.items()}

    def mark_gradients(self) -> None:
        """Set the ``.grad`` of every parameter, so that changes to it are detected."""
        for parameter in self.model.parameters():
            parameter.grad = torch.full_like(parameter, 0.5)


def _widened(tensor: Tensor) -> Tensor:
    if tensor.is_complex():  # Module.double does not convert complex numbers
        return tensor.to(torch.complex128)
    return tensor.double() if tensor.is_floating_point() else tensor


def _hooks(module: nn.Module) -> int:
    return sum(len(hooks) for name, hooks in vars(module).items() if name.endswith("_hooks"))


def observed(value: Any) -> dict[str, Any]:
    """Return the properties of a value that an evaluation could change, by description."""
    if not isinstance(value, Tensor):
        return {"": value}
    # Reading .grad of a tensor that is not a leaf warns.
    grad = value.grad if value.is_leaf else None
    return {
        "": value.detach().clone(),
        "requires_grad of ": value.requires_grad,
        ".grad of ": None if grad is None else grad.detach().clone(),
    }


def saved_and_loaded(state: Any) -> Any:
    """Save a state and load it as a checkpoint does, without unpickling code."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def counters(thing: object) -> dict[str, int]:
    """Return the integer attributes of an object, which are usually counters."""
    return {n: v for n, v in getattr(thing, "__dict__", {}).items() if type(v) is int}


def leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested mappings, tuples and lists, each with its path."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves(item, f"{name}[{key!r}]")
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            yield from leaves(item, f"{name}[{index}]")
    else:
        yield name, value


def changes(before: Snapshot, after: Snapshot) -> Iterator[str]:
    """Describe the differences between two snapshots."""
    for name in before | after:
        if name not in after:
            yield f"{name} is missing"
        elif name not in before:
            yield f"{name} is new"
        else:
            for what, value in before[name].items():
                if not same(value, after[name].get(what)):
                    yield f"{what}{name} changed"


def same(first: Any, second: Any) -> bool:
    """Return whether two values are equal; NaN equals NaN at the same position."""
    if not (isinstance(first, Tensor) and isinstance(second, Tensor)):
        return type(first) is type(second) and (first is second or bool(first == second))
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    return bool(((first == second) | ((first != first) & (second != second))).all())
