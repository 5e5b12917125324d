"""A model and its optimizer, sharded over all processes for the length of a fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.engine.scattering import (
    Scatter,
    end_shard,
    gathered_first,
    mesh_of,
    sharder,
    without_values,
)
from perceptrain_core.engine.shard_choice import (
    ShardModules,
    can_be_sharded,
    choose_units,
    refuse_sparse,
)
from perceptrain_core.engine.shard_release import forget_state_hooks, release
from perceptrain_core.engine.sharded_average import ShardedAverage
from perceptrain_core.engine.sharded_optimizer import (
    replace_parameters,
    require_one_kind,
    require_steps_on_shards,
    share_states,
)
from perceptrain_core.engine.sharded_sums import nonfinite_parameter, total_norm
from perceptrain_core.errors import TrainingError
from perceptrain_core.parameters import parameters_of
from perceptrain_core.tensors import is_sharded, local


class FullySharded:
    """Shard a model in place with PyTorch's ``fully_shard``, and let its optimizer step the shards.

    What is sharded is a module around the model whose forward pass is an evaluation of the loss, so
    a loss may call any part of the model.

    Args:
        model: The model. The first process sends its values to the others, whose parameters need
            none: they may be on the device "meta".
        optimizer: The optimizer; its parameters are replaced by shards, in the same order and with
            the state that they have in the first process.
        loss_fn: The loss; its own parameters stay whole.
        shard_modules: What is gathered together, see `choose_units`.
        reshards: Whether parameters are dropped between forward and backward pass; otherwise they
            are whole during a step.
        device: The device of the shards.
        dtype: Their dtype; ``None`` keeps that of the parameters.
        averaged: A copy of the model for the average of its weights, whose parameters have no
            values yet; it becomes sharded, too, with the values of the model.

    Attributes:
        model: The model.
        averaged: The average, if there is one.
        reshards: As given; see `keep_whole`.
        evaluates_whole: Whether evaluations need whole parameters, although steps do not.
        others: The trained parameters that stay whole.

    Raises:
        TrainingError: The optimizer cannot step shards, the model has sparse gradients, or
            ``shard_modules`` names what the model does not have.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Any,
        loss_fn: object,
        shard_modules: ShardModules,
        reshards: bool,
        device: torch.device,
        dtype: torch.dtype | None = None,
        averaged: nn.Module | None = None,
    ) -> None:
        self.model, self.averaged, self.device = model, averaged, device
        self._shard, self._scatter = sharder(device), Scatter(device, dtype)
        refuse_sparse(model)
        require_steps_on_shards(optimizer, self._shard, device)
        units = choose_units(model, shard_modules)
        self._slots = [
            (module, name, parameter)
            for module in model.modules()
            for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False)
            if can_be_sharded(parameter)
        ]
        sharded: set[Tensor] = {parameter for _, _, parameter in self._slots}
        trained = [p for p in parameters_of(model, loss_fn, optimizer) if p.requires_grad]
        self.others = [parameter for parameter in trained if parameter not in sharded]
        require_one_kind(optimizer, sharded)
        share_states(optimizer, sharded)
        average = None if averaged is None else ShardedAverage(averaged, model, can_be_sharded)
        self._root: Any = _Root(model)
        self._units: list[Any] = [*units, self._root]
        self._shards = self._divide()
        self._wholes: dict[Tensor, Tensor] = {s: whole for whole, s in self._shards.items()}
        replace_parameters(optimizer, self._shards, self._cut)
        self._optimizer, self._average = optimizer, average
        if average is not None:
            average.fill()
        self._whole, self._evaluates = False, False
        self._watches: list[Any] = []
        self.reshards, self.evaluates_whole = True, False
        with torch.no_grad():  # submodules may be called from now on
            self._root(list)
        self.reshard()
        for unit in self._units:  # a state dict is sharded between steps, and whole in `whole`
            forget_state_hooks(unit)
        if reshards:
            self._watch()
        else:
            self.keep_whole()

    def _divide(self) -> dict[Tensor, Any]:
        """Shard the model; return the share of this process of each of its parameters.

        No process has a parameter twice: its values are sent from the one that the model was
        created with into the shards, one after the other.
        """
        twins: dict[Tensor, nn.Parameter] = {
            p: without_values(p, self._scatter.dtype) for _, _, p in self._slots
        }
        whole: set[nn.Parameter] = {p for p in self.model.parameters() if p not in twins}
        for module, name, parameter in self._slots:
            setattr(module, name, twins[parameter])
        self._split(whole)
        self._root._apply(self._scatter.with_memory)
        shards: dict[Tensor, Any] = {p: getattr(m, name) for m, name, p in self._slots}
        for original, shard in shards.items():
            local(shard.detach()).copy_(local(self._scatter(original.detach())))
            # It may have other owners, such as a list of the user.
            original.data, original.grad = original.data.new_empty(0), None
        return shards

    def _split(self, whole: set[nn.Parameter]) -> None:
        # It takes long to import, and few runs need it.
        from torch.distributed.fsdp import FSDPModule, fully_shard

        if not hasattr(FSDPModule, "set_force_sum_reduction_for_comms"):
            raise TrainingError(
                f'strategy="fsdp" needs a later version of torch than {torch.__version__}. '
                'Update it, or use strategy="ddp".'
            )
        mesh = mesh_of(self.device)
        for unit in self._units:
            fully_shard(unit, mesh=mesh, ignored_params=whole)
            unit.set_gradient_divide_factor(1.0)
            unit.set_force_sum_reduction_for_comms(True)
        self._root.set_requires_gradient_sync(False)

    def _watch(self) -> None:
        """Notice a backward pass inside the loss, before the hooks of ``fully_shard`` run."""

        def notice(_: Tensor) -> None:
            if self._evaluates:
                raise InnerBackward("the loss differentiates the output of the model")

        def watch(module: nn.Module, args: Any, output: Any) -> None:
            found = output if isinstance(output, list | tuple) else [output]
            for each in found:
                if isinstance(each, Tensor) and each.requires_grad:
                    each.register_hook(notice)  # type: ignore[no-untyped-call]

        for unit in self._units[:-1]:
            self._watches.append(unit.register_forward_hook(watch, prepend=True))

    def _cut(self, whole: Tensor, value: Any) -> Any:
        """Return the share of this process of a state of the optimizer in the first process."""
        shard = self._shards.get(whole)
        if shard is None or not isinstance(value, Tensor) or value.shape != shard.shape:
            return value
        return self._scatter(value, value.dtype)

    def divide_state(self) -> None:
        """Divide the state of the optimizer as its parameters, after it was loaded."""

        def divided(parameter: Tensor, value: Any) -> Any:
            whole = isinstance(value, Tensor) and not is_sharded(value)
            if parameter in self._wholes and whole and value.shape == parameter.shape:
                return self._shard(value)
            return value.full_tensor() if is_sharded(value) and not is_sharded(parameter) else value

        replace_parameters(self._optimizer, {}, divided)

    def keep_whole(self) -> None:
        """From now on keep all parameters during a step, so that the loss may do anything."""
        self.reshards = False
        for handle in self._watches:
            handle.remove()
        self._stay(True)

    def _stay(self, whole: bool) -> None:
        """Choose whether gathered parameters stay until `reshard`."""
        for unit in self._units[:-1]:
            unit.set_reshard_after_forward(not whole, recurse=False)
        self._root.set_reshard_after_backward(not whole)

    def evaluate(self, compute: Callable[[], list[Tensor]]) -> None:
        """Call a function, as the forward pass of the module that is sharded.

        Args:
            compute: Returns what may be differentiated. Errors inside of it should not leave it.
        """
        if not self.reshards:
            self.gather()
        self._evaluates = True
        try:
            self._root(compute)
        finally:
            self._evaluates = False

    def gather(self) -> None:
        """Make all parameters whole."""
        for unit in self._units:
            unit.unshard()

    def reshard(self) -> None:
        """Drop all but the shards."""
        for unit in self._units:
            unit.reshard()

    @contextmanager
    def visible(self) -> Iterator[None]:
        """Let the model have the parameters of the graph, for a look at it in an evaluation."""
        if self.reshards:
            self.gather()
        try:
            yield
        finally:
            if self.reshards:
                self.reshard()

    def recover(self) -> None:
        """Forget an evaluation that failed."""
        if hasattr(self._root, "reset_iter_state"):
            self._root.reset_iter_state()
        self.reshard()

    def synchronize(self, active: bool) -> None:
        """Choose whether backward passes exchange gradients while they compute them."""
        self._root.set_requires_gradient_sync(active)

    def flush(self) -> None:
        """Exchange the gradients that earlier backward passes left, in a pass of its own."""
        results: list[Tensor] = []

        def compute() -> list[Tensor]:
            zero = torch.zeros((), device=self.device, requires_grad=True)
            results.append(zero * 1)
            return results

        self.synchronize(True)
        self.evaluate(compute)
        results[0].backward()  # type: ignore[no-untyped-call]
        self.synchronize(False)

    def used(self) -> list[bool]:
        """Return which trained parameters have gradients, where they are whole."""
        return [parameter.grad is not None for parameter in self._trained()]

    def complete(self, used: list[bool]) -> None:
        """Set missing gradients to zero, where they are whole and another process has them."""
        for parameter, is_used in zip(self._trained(), used, strict=True):
            if is_used and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)

    def _trained(self) -> list[Tensor]:
        self.gather()
        found = dict.fromkeys(getattr(module, name) for module, name, _ in self._slots)
        return [parameter for parameter in found if parameter.requires_grad]

    @contextmanager
    def whole(self, writes: bool = True) -> Iterator[None]:
        """Make the parameters whole inside a ``with`` block; all processes enter it together.

        Args:
            writes: Whether changes to the parameters are kept; and a state of the optimizer that
                was loaded.
        """
        if self._whole:
            yield
            return
        self._whole = True
        self._stay(True)
        self.gather()
        if self._average is not None:
            self._average.gather()
        try:
            yield
        finally:
            self._whole = False
            if self._average is not None:
                self._average.reshard(self._shard if writes else None)
            plain = [(getattr(module, name), p) for module, name, p in self._slots]
            with torch.no_grad():
                for parameter, original in plain:
                    parameter.grad = None
                    if writes:
                        mine = self._shard(parameter.detach()).to_local()
                        self._shards[original].to_local().copy_(mine)
            self.reshard()
            self._stay(not self.reshards)
            if writes:
                self.divide_state()

    @property
    def is_whole(self) -> bool:
        """Whether this is a ``with`` block of `whole`."""
        return self._whole

    @contextmanager
    def average_in_use(self) -> Iterator[None]:
        """Exchange the values of the model and of its average inside a ``with`` block."""
        assert self._average is not None
        self._average.exchange()
        try:
            yield
        finally:
            self.reshard()  # the model may have been gathered, with the values of the average
            self._average.exchange()

    def nonfinite_parameter(self, model: nn.Module) -> str | None:
        """Return the name of a parameter that is NaN or infinite; all processes call it."""
        return nonfinite_parameter(model)

    def total_norm(self) -> Tensor:
        """Return the 2-norm of all gradients together; all processes call it."""
        return total_norm(parameters_of(self._optimizer), self.device)

    def dissolve(self, whole: bool = True) -> None:
        """End sharding: in the first process everything has whole, plain tensors again.

        In the others the parameters, the state of the optimizer and the average are on the device
        "meta", without values, until the engine prepares them for something else.

        Args:
            whole: Whether the other processes call this, too; otherwise the parameters are NaN in
                all of them, and the state of the optimizer is lost.
        """
        self.recover()
        if self._average is not None:
            self._average.dissolve(whole)
        for original, shard in self._shards.items():
            end_shard(original, shard, whole)
        for unit in self._units:
            release(unit)
        for handle in self._watches:
            handle.remove()
        for module, name, original in self._slots:
            setattr(module, name, original)
        if not whole:
            self._optimizer.state.clear()
        replace_parameters(self._optimizer, self._wholes, _joined)


class InnerBackward(RuntimeError):
    """A loss differentiates the model while it is evaluated."""


class _Root(nn.Module):
    """An evaluation of the loss, whose parameters are those of the model."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, compute: Callable[[], list[Tensor]]) -> list[Tensor]:
        return compute()


def _joined(_: Tensor, value: Any) -> Any:
    return gathered_first(value) if is_sharded(value) else value
