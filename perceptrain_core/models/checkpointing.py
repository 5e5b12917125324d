"""Activation checkpointing: modules that keep no activations, and compute them again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch._C._functorch import maybe_current_level
from torch.utils.checkpoint import checkpoint

from perceptrain_core.errors import TrainingError
from perceptrain_core.models.pinn import PINN
from perceptrain_core.module_choice import Choice, condition_of

#: Whether at all, classes and names of modules, or a function of name and module.
Checkpointed = bool | Choice

_Tensors = dict[str, Tensor | None]


@contextmanager
def activation_checkpointing(model: nn.Module, which: Checkpointed) -> Iterator[None]:
    """Let modules compute their activations again in the backward pass, inside a ``with`` block.

    Only what they receive and return is kept in memory. The modules stay the objects that they are,
    with the names that they have; a copy made inside the block is an ordinary module. The second
    evaluation uses the random numbers and the buffers of the first, and changes neither.

    Args:
        model: The model.
        which: True for each block of a ``Sequential`` or ``ModuleList`` that has submodules, or the
            whole model if there is none (of a PINN, the network); classes or names of submodules;
            or a function ``f(name, module) -> bool``. Modules inside of a chosen one are not
            chosen.

    Raises:
        TrainingError: A class, a name or the function fits no module, or a chosen module is a
            script.
    """
    chosen = _chosen(model, which) if which else []
    before = [module.__dict__.get("forward") for module in chosen]
    for module in chosen:
        module.__dict__["forward"] = _Recomputed(module)
    try:
        yield
    finally:
        for module, own in zip(chosen, before, strict=True):
            if own is None:
                del module.__dict__["forward"]
            else:
                module.__dict__["forward"] = own


class _Recomputed:
    """The ``forward`` of a module, which is evaluated again in the backward pass."""

    def __init__(self, module: nn.Module) -> None:
        self._module, self._forward = module, module.forward

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return self._forward(*args, **kwargs)
        self._require_plain_call()
        contexts = nullcontext(), _BuffersOfNow(self._module)
        own = self._forward
        return checkpoint(own, *args, use_reentrant=False, context_fn=lambda: contexts, **kwargs)

    def __reduce__(self) -> Any:
        """Let a copy of the module have its own ``forward``."""
        return getattr, (self._module, "forward")

    def _require_plain_call(self) -> None:
        name = type(self._module).__name__
        if maybe_current_level() is not None:
            raise TrainingError(
                f"The loss evaluates {name} inside a transform of torch.func, which cannot compute "
                "activations again. Differentiate by torch.autograd.grad, or leave out "
                "activation_checkpointing."
            )
        if not all(isinstance(p, nn.Parameter) for p in self._module.parameters()):
            raise TrainingError(
                f"The parameters of {name} are replaced while it is called, as by "
                "torch.func.functional_call, and the backward pass would compute its activations "
                "with others. Leave out activation_checkpointing."
            )


class _BuffersOfNow:
    """Lets a module have copies of the buffers that it has now, in ``with`` blocks later."""

    def __init__(self, module: nn.Module) -> None:
        self._buffers = [m._buffers for m in module.modules() if m._buffers]
        self._now = [_copied(each) for each in self._buffers]
        self._later: list[_Tensors] = []

    def __enter__(self) -> None:
        self._later = [dict(each) for each in self._buffers]
        for buffers, values in zip(self._buffers, self._now, strict=True):
            buffers.update(_copied(values))  # there may be another backward pass

    def __exit__(self, *raised: object) -> None:
        for buffers, values in zip(self._buffers, self._later, strict=True):
            buffers.update(values)


def _copied(buffers: _Tensors) -> _Tensors:
    return {name: None if b is None else b.detach().clone() for name, b in buffers.items()}


def _chosen(model: nn.Module, which: Checkpointed) -> list[nn.Module]:
    if isinstance(which, bool):
        fits = _blocks(model)
    else:
        fits = condition_of(which, model, "activation_checkpointing")
    chosen: list[nn.Module] = []

    def visit(module: nn.Module, name: str) -> None:
        if fits(name, module):
            if module not in chosen:
                chosen.append(module)
            return
        for child_name, child in module.named_children():
            visit(child, f"{name}.{child_name}" if name else child_name)

    visit(model, "")
    if not chosen:
        raise TrainingError(
            "activation_checkpointing is a function that is true for no module of "
            f"{type(model).__name__}. Choose at least one: it is called with the names and "
            "modules of model.named_modules()."
        )
    if any(isinstance(module, torch.jit.ScriptModule) for module in chosen):
        raise TrainingError(
            "activation_checkpointing cannot change a module of torch.jit. Choose other modules, "
            "or train the model that the script was made of."
        )
    return chosen


def _blocks(model: nn.Module) -> Callable[[str, nn.Module], bool]:
    lists = [m for m in model.modules() if isinstance(m, nn.Sequential | nn.ModuleList)]
    blocks = {child for each in lists for child in each.children() if [*child.children()]}
    network = model.nn if isinstance(model, PINN) else model
    wanted = {block for block in blocks if not isinstance(block, nn.ModuleList)} or {network}
    return lambda name, module: module in wanted
