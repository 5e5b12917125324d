"""A model and its optimizer, sharded over all processes for the length of a fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import nan
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from perceptrain_core.engine.shard_choice import ShardModules, can_be_sharded, choose_units
from perceptrain_core.engine.shard_release import forget_state_hooks, release
from perceptrain_core.engine.sharded_optimizer import replace_parameters, require_steps_on_shards
from perceptrain_core.errors import TrainingError
from perceptrain_core.parameters import parameters_of
from perceptrain_core.tensors import is_sharded


class FullySharded:
    """Shard a model in place with PyTorch's ``fully_shard``, and let its optimizer step the shards.

    What is sharded is a module around the model whose forward pass is an evaluation of the loss, so
    a loss may call any part of the model.

    Args:
        model: The model, with equal values in all processes.
        optimizer: The optimizer; its parameters are replaced by shards, in the same order and with
            their state.
        loss_fn: The loss; its own parameters stay whole.
        shard_modules: What is gathered together, see `choose_units`.
        reshards: Whether parameters are dropped between forward and backward pass; otherwise they
            are whole during a step.

    Attributes:
        reshards: The same; see `keep_whole`.
        others: The trained parameters that stay whole.

    Raises:
        TrainingError: The optimizer cannot step shards, or ``shard_modules`` names what the model
            does not have.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Any,
        loss_fn: object,
        shard_modules: ShardModules,
        reshards: bool,
    ) -> None:
        self.device = next(model.parameters()).device
        self._shard = sharder(self.device)
        require_steps_on_shards(optimizer, self._shard)
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
        _require_one_kind(optimizer, sharded)
        self._root: Any = _Root(model)
        self._units: list[Any] = [*units, self._root]
        self._split({p for p in model.parameters() if p not in sharded})
        self._shards: dict[Tensor, Any] = {p: getattr(m, name) for m, name, p in self._slots}
        self._wholes: dict[Tensor, Tensor] = {s: whole for whole, s in self._shards.items()}
        replace_parameters(optimizer, self._shards, self._cut)
        for parameter in self._shards:  # it may have other owners, such as a list of the user
            parameter.data, parameter.grad = parameter.data.new_empty(0), None
        self._optimizer = optimizer
        self._whole, self._evaluates = False, False
        self._watches: list[Any] = []
        self.reshards = True
        with torch.no_grad():  # submodules may be called from now on
            self._root(list)
        self.reshard()
        for unit in self._units:  # a state dict is sharded between steps, and whole in `whole`
            forget_state_hooks(unit)
        if reshards:
            self._watch()
        else:
            self.keep_whole()

    def _split(self, whole: set[nn.Parameter]) -> None:
        # It takes long to import, and few runs need it.
        from torch.distributed.fsdp import FSDPModule, fully_shard

        if not hasattr(FSDPModule, "set_force_sum_reduction_for_comms"):
            raise TrainingError(
                f'strategy="fsdp" needs a later version of torch than {torch.__version__}. '
                'Update it, or use strategy="ddp".'
            )
        mesh = _mesh(self.device)
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
        """Return the share of this process of a state of the optimizer."""
        shard = self._shards.get(whole)
        if shard is None or not isinstance(value, Tensor) or value.shape != shard.shape:
            return value
        return self._shard(value)

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
            writes: Whether changes to the parameters are kept.
        """
        if self._whole:
            yield
            return
        self._whole = True
        self._stay(True)
        self.gather()
        try:
            yield
        finally:
            self._whole = False
            plain = [(getattr(module, name), p) for module, name, p in self._slots]
            with torch.no_grad():
                for parameter, original in plain:
                    parameter.grad = None
                    if writes:
                        local = self._shard(parameter.detach()).to_local()
                        self._shards[original].to_local().copy_(local)
            self.reshard()
            self._stay(not self.reshards)

    def nonfinite_parameter(self, model: nn.Module) -> str | None:
        """Return the name of a parameter that is NaN or infinite; all processes call it."""
        named = [*model.named_parameters()]
        found = torch.stack([local(p).detach().isfinite().all().logical_not() for _, p in named])
        found = found.int()
        dist.all_reduce(found, op=dist.ReduceOp.MAX)
        return next((name for (name, _), bad in zip(named, found, strict=True) if bad), None)

    def total_norm(self) -> Tensor:
        """Return the 2-norm of all gradients together; all processes call it."""
        every = [p for p in parameters_of(self._optimizer) if p.grad is not None]
        squares = torch.zeros((), dtype=torch.float64, device=self.device)
        squares = squares + _squares([p for p in every if p in self._wholes])
        dist.all_reduce(squares)
        return (squares + _squares([p for p in every if p not in self._wholes])).sqrt()

    def dissolve(self, whole: bool = True) -> None:
        """End sharding; the model and the optimizer have whole, plain tensors again.

        Args:
            whole: Whether the other processes call this, too; otherwise the parameters are NaN, and
                the state of the optimizer is lost.
        """
        self.recover()
        for original, shard in self._shards.items():
            value = shard.detach().full_tensor() if whole else None
            original.data = (
                original.data.new_full(tuple(shard.shape), nan) if value is None else value
            )
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


def local(tensor: Any) -> Any:
    """Return the share of this process of a ``DTensor``, and any other tensor as it is."""
    return tensor.to_local() if is_sharded(tensor) else tensor


def sharder(device: torch.device) -> Callable[[Tensor], Any]:
    """Return a function that divides the rows of a tensor, which all processes have."""
    from torch.distributed.tensor import Shard, distribute_tensor

    mesh = _mesh(device)
    return lambda whole: distribute_tensor(whole, mesh, [Shard(0)], src_data_rank=None)


def _mesh(device: torch.device) -> Any:
    # It takes long to import, and few runs need it.
    from torch.distributed.device_mesh import init_device_mesh

    return init_device_mesh(device.type, (dist.get_world_size(),))


def _joined(_: Tensor, value: Any) -> Any:
    return value.full_tensor() if is_sharded(value) else value


def _squares(parameters: list[Tensor]) -> Tensor | float:
    if not parameters:
        return 0.0
    gradients = [local(p.grad).detach() for p in parameters]
    norms = [torch.linalg.vector_norm(g, dtype=torch.float64) for g in gradients]
    return torch.stack(norms).square().sum()


def _require_one_kind(optimizer: Any, sharded: set[Tensor]) -> None:
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
