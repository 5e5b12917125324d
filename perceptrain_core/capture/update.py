"""The update of torch's optimizers as operations of a graph."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from operator import is_not
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim import SGD, Adadelta, Adam, Adamax, AdamW, NAdam, Optimizer, RAdam, RMSprop

from perceptrain_core.capture.guard import Guard
from perceptrain_core.capture.place import Place
from perceptrain_core.capturing import NotCapturable
from perceptrain_core.optimizers import fused

_KNOWN = (SGD, Adam, AdamW, fused.Adam, fused.AdamW, NAdam, RAdam, Adamax, Adadelta, RMSprop)
#: These read a rate that is a tensor, or divide by it, though it may be 0; but their steps are the
#: rate times a vector without it.
_PROPORTIONAL = (Adadelta, RMSprop, Adam, AdamW, fused.Adam, fused.AdamW)


class Update:
    """The step of an optimizer, by torch's own code, as new values of its tensors.

    The learning rates are inputs of the graph, in double precision as for the optimizer itself, and
    so is what schedules of one cycle change; all other options are constants.

    Args:
        optimizer: An optimizer that `is_known`.
        max_norm: As for the stepper.
        max_value: As for the stepper.
    """

    def __init__(
        self, optimizer: Optimizer, max_norm: float | None, max_value: float | None
    ) -> None:
        self._optimizer, self._max_norm, self._max_value = optimizer, max_norm, max_value
        self._numbers = [
            _Number(group, key) for group in optimizer.param_groups for key in _keys(group)
        ]
        self.rates = [number.tensor for number in self._numbers]
        self._groups = [*optimizer.param_groups]
        self._constants = [(group, name) for group in self._groups for name in _constants(group)]
        self._options, self._betas = self._current_options(), self._current_betas()
        self.follow(())

    @staticmethod
    def is_known(optimizer: Any) -> bool:
        """Whether the step of an optimizer can be part of a graph."""
        return (
            type(optimizer) in _KNOWN
            and not _has_hooks(optimizer)
            and not any(group["differentiable"] for group in optimizer.param_groups)
            and not any(isinstance(group["lr"], Tensor) for group in optimizer.param_groups)
        )

    @staticmethod
    def has_state(optimizer: Optimizer) -> bool:
        """Whether an optimizer has the state of its first step, if it has any."""
        return bool(optimizer.state) or _is_stateless(optimizer)

    def require_state(self, parameters: Sequence[Tensor]) -> None:
        """Check that there is the state of each parameter with a gradient, and only tensors.

        Raises:
            NotCapturable: It is created in the next step, or has other values.
        """
        state = [self._optimizer.state.get(p, {}) for p in parameters]
        if not _is_stateless(self._optimizer) and not all(state):
            raise NotCapturable("the optimizer has no state of a parameter yet")
        if not all(isinstance(value, Tensor) for one in state for value in one.values()):
            raise NotCapturable("the state of the optimizer has other values than tensors")

    def fits(self) -> bool:
        """Whether the options are still those of the graph; copies the learning rates to it."""
        if _has_hooks(self._optimizer) or not (self._guard.holds() or self._renew()):
            return False
        for number in self._numbers:
            number.refresh()
        return self._current_betas() == self._betas

    def follow(self, parameters: Sequence[Tensor]) -> None:
        """Notice from now on when the state of these parameters is replaced."""
        self._followed, self._state = parameters, self.state(parameters)
        self._guard = self._new_guard()

    def _renew(self) -> bool:
        """Follow options to equal values; other groups or another state need another graph."""
        if any(map(is_not, self._optimizer.param_groups, self._groups)):
            return False
        state = self.state(self._followed)
        if len(state) != len(self._state) or any(map(is_not, state, self._state)):
            return False
        if self._current_options() != self._options:
            return False
        self._guard = self._new_guard()
        return True

    def _new_guard(self) -> Guard:
        """Return a guard of what is a constant in the graph, except for the betas."""
        attributes = vars(self._optimizer)
        state, groups = attributes["state"], attributes["param_groups"]
        own = [(p, state[p]) for p in self._followed if p in state]
        places = [Place(attributes, n, attributes[n]) for n in ("state", "param_groups")]
        places += [Place(groups, n, group) for n, group in enumerate(groups)]
        places += [Place(group, name, group[name]) for group, name in self._constants]
        places += [Place(state, p, values) for p, values in own]
        places += [Place(values, name, v) for _, values in own for name, v in values.items()]
        return Guard(places, [state, *(values for _, values in own)], [])

    def _current_options(self) -> list[Any]:
        return [group[name] for group, name in self._constants]

    def _current_betas(self) -> list[Any]:
        """Return the betas that are constants in the graph: all but the first of each group."""
        return [group["betas"][1:] for group in self._groups if "betas" in group]

    def state(self, parameters: Sequence[Tensor]) -> list[Tensor]:
        """Return the tensors of the state, in a fixed order."""
        return [v for p in parameters for v in self._optimizer.state.get(p, {}).values()]

    def _with_tensors(self, group: dict[str, Any], params: list[Tensor]) -> dict[str, Any]:
        """Return a group with other parameters, and with tensors for the numbers."""
        numbers = {n.key: n.tensor for n in self._numbers if n.group is group}
        rate = numbers["lr", None]
        changed: dict[str, Any] = {"params": params, "lr": rate, "foreach": False, "fused": False}
        if ("momentum", None) in numbers:
            changed["momentum"] = numbers["momentum", None]
        if "betas" in group:
            changed["betas"] = numbers["betas", 0], *group["betas"][1:]
        if "capturable" in group:
            changed["capturable"] = True
        if type(self._optimizer) in _PROPORTIONAL:
            changed["lr"] = 1.0
            if group.get("decoupled_weight_decay"):
                changed["weight_decay"] = 0.0
        return {**group, **changed}

    def _sgd(self, shadow: Optimizer) -> None:
        """Take the step of SGD, whose own code reads a rate or a momentum that is a tensor."""
        for own, group in zip(self._optimizer.param_groups, shadow.param_groups, strict=True):
            for p in group["params"]:
                gradient = -p.grad if group["maximize"] else p.grad
                gradient = gradient + group["weight_decay"] * p
                if own["momentum"]:
                    buffer = shadow.state[p]["momentum_buffer"]
                    buffer.mul_(group["momentum"]).add_(gradient, alpha=1 - group["dampening"])
                    momentum = group["momentum"] * buffer
                    gradient = gradient + momentum if group["nesterov"] else buffer
                p.sub_(group["lr"] * gradient)

    def clipped(self, gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
        """Return the gradients as the optimizer gets them."""
        holders = [None if g is None else torch.zeros_like(g) for g in gradients]
        for holder, gradient in zip(holders, gradients, strict=True):
            if holder is not None:
                holder.grad = gradient
        self._clip([holder for holder in holders if holder is not None])
        return [None if holder is None else holder.grad for holder in holders]

    def _clip(self, parameters: Sequence[Tensor]) -> None:
        if self._max_norm is not None:
            clip_grad_norm_(parameters, self._max_norm, foreach=False)
        if self._max_value is not None:
            clip_grad_value_(parameters, self._max_value, foreach=False)

    def step_itself(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        """Let the optimizer take the step."""
        for group in self._optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = None
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        self._optimizer.step()

    def __call__(
        self, parameters: Sequence[Tensor], gradients: Sequence[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return the new parameters with the new state, and the clipped gradients.

        Raises:
            NotCapturable: The optimizer has no state of a parameter yet.
        """
        self.require_state(parameters)
        shadow = copy(self._optimizer)
        new = {p: p.detach().clone() for p in parameters}
        for p, gradient in zip(parameters, gradients, strict=True):
            new[p].grad = gradient
        self._clip([*new.values()])
        clipped = [q.grad for q in new.values()]
        shadow.param_groups = [
            self._with_tensors(group, [new[p] for p in group["params"] if p in new])
            for group in self._optimizer.param_groups
        ]
        old = {p: self._optimizer.state.get(p, {}) for p in parameters}
        shadow.state = {new[p]: {n: _raised(v) for n, v in old[p].items()} for p in new}  # type: ignore[assignment]
        if type(shadow) is SGD:
            self._sgd(shadow)
        else:
            _step(shadow)
        state = [
            shadow.state[new[p]][name].to(value.dtype)
            for p in parameters
            for name, value in old[p].items()
        ]
        values = [self._moved(p, q) for p, q in new.items()]
        return [*values, *state], clipped  # type: ignore[return-value]

    def _moved(self, parameter: Tensor, stepped: Tensor) -> Tensor:
        """Return a parameter after the step, given that after a step of the rate of the graph."""
        if type(self._optimizer) not in _PROPORTIONAL:
            return stepped
        rates = (n for n in self._numbers if n.key == ("lr", None))
        owner = next(n for n in rates if any(p is parameter for p in n.group["params"]))
        rate, group = owner.tensor, owner.group
        decay = group["weight_decay"] if group.get("decoupled_weight_decay") else 0.0
        return parameter + (rate * (stepped - parameter - decay * parameter)).to(parameter.dtype)


class _Number:
    """A number of a parameter group that may change at each step, as a tensor.

    Args:
        group: The group.
        key: Its key in it; for an element of a tuple the key, and the index.
    """

    def __init__(self, group: dict[str, Any], key: tuple[str, int | None]) -> None:
        self.group, self.key = group, key
        self._value = self._read()
        device = group["params"][0].device
        self.tensor = torch.tensor(self._value, dtype=torch.float64, device=device)

    def _read(self) -> float:
        name, index = self.key
        return self.group[name] if index is None else self.group[name][index]  # type: ignore[no-any-return]

    def refresh(self) -> None:
        """Copy the number to the tensor, if it has changed."""
        if (value := self._read()) != self._value:
            self.tensor.fill_(value)
            self._value = value


def _keys(group: dict[str, Any]) -> list[tuple[str, int | None]]:
    """Return the rate, and what schedules of one cycle change: the first beta, or the momentum."""
    keys: list[tuple[str, int | None]] = [("lr", None)]
    if "betas" in group:
        keys.append(("betas", 0))
    if "dampening" in group and group["momentum"]:  # of SGD
        keys.append(("momentum", None))
    return keys


def _constants(group: dict[str, Any]) -> list[str]:
    """Return the names of the options that are constants in a graph, except for the betas."""
    kernels = {"foreach", "fused", "capturable"}
    left_out = {"params", "initial_lr", *kernels, *(name for name, _ in _keys(group))}
    return [name for name in group if name not in left_out]


def _has_hooks(optimizer: Any) -> bool:
    return bool(optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks)


def _is_stateless(optimizer: Optimizer) -> bool:
    return type(optimizer) is SGD and not any(g["momentum"] for g in optimizer.param_groups)


def _raised(value: Tensor) -> Tensor:
    """Copy a tensor of the state; scalars such as the number of steps in double precision."""
    return value.double() if value.ndim == 0 else value.clone()


def _step(optimizer: Optimizer) -> None:
    flag, torch.compiler._is_compiling_flag = torch.compiler._is_compiling_flag, True
    try:
        with torch.no_grad():
            type(optimizer).step.__wrapped__(optimizer)  # type: ignore[attr-defined]
    finally:
        torch.compiler._is_compiling_flag = flag
