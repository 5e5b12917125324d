"""A model whose layers record how each row of their outputs depends on their parameters."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from perceptrain_core.least_squares.recorded_linear import Pass, Tape, recorded_linear
from perceptrain_core.tensors import parts_of


class TracedModel:
    """Evaluates a model in a way that its residuals can be differentiated row by row.

    The model itself is evaluated, with its hooks and attributes; only the ``forward`` of modules
    that have parameters and no children is replaced in the meantime. Linear layers record their
    uses. Other modules, such as convolutions and normalizations, are evaluated on each row by
    ``torch.vmap``, with parameters expanded to one copy a row. What can be evaluated in neither way
    stays as it is, and so do parameters that belong to no such module.

    Args:
        model: The model.
        parameters: The parameters to differentiate with respect to.

    Attributes:
        parameters: As given, a set.
        tape: The uses of linear layers.
        copies: The parameters that were expanded, and their copies of shape ``(N, ...)``, since
            `clear`.
    """

    def __init__(self, model: nn.Module, parameters: Iterable[Tensor]) -> None:
        self.model = model
        self.tape = Tape()
        self.copies: list[tuple[Tensor, Tensor]] = []
        self.parameters = set(parameters)
        self._detach = False
        self._known: list[_Known] = []
        self._replaced = {
            module: replacement
            for module in model.modules()
            if (replacement := self._replacement(module)) is not None
        }

    def _replacement(self, module: nn.Module) -> Callable[..., Any] | None:
        if not any(p in self.parameters for p in module._parameters.values()):
            return None
        if type(module) is nn.Linear:
            # Elsewhere its weight is computed from others, as by torch.nn.utils.weight_norm.
            return partial(self._linear, module) if "weight" in module._parameters else None
        return None if [*module.children()] else partial(self._by_row, module)

    @property
    def number(self) -> int:
        """How many modules are evaluated in another way; fewer if that has failed."""
        return len(self._replaced)

    def clear(self) -> None:
        """Forget what was recorded."""
        self.tape.uses, self.copies = {}, []

    @contextmanager
    def active(self, detach: bool = False) -> Iterator[None]:
        """Replace the forwards; repeated calls of the model with the same objects are remembered.

        Args:
            detach: Whether parameters count as constants where they are recorded or expanded, so
                that only their other uses have a graph.
        """
        self._detach, self._known = detach, []
        whole = self._replaced.get(self.model, self.model.forward)
        replaced = self._replaced | {self.model: partial(self._remembered, whole)}
        before = {module: module.__dict__.get("forward") for module in replaced}
        try:
            for module, forward in replaced.items():
                module.__dict__["forward"] = forward
            yield
        finally:
            for module, own in before.items():
                if own is None:
                    del module.__dict__["forward"]
                else:
                    module.__dict__["forward"] = own
            self._known = []

    def _remembered(self, forward: Callable[..., Any], *inputs: Any, **options: Any) -> Any:
        """Call the model, or return what it returned for the same objects."""
        mode = torch.is_grad_enabled(), self.model.training
        if not options:
            for known in self._known:
                if known.fits(inputs, mode):
                    return _copied(known.outputs)
        purpose, self.tape.purpose = self.tape.purpose, Pass.POINTS
        try:
            outputs = forward(*inputs, **options)
        finally:
            self.tape.purpose = purpose
        if not options:
            self._known.append(_Known(inputs, mode, outputs))
        return _copied(outputs)

    def _linear(self, layer: nn.Linear, *inputs: Tensor, **options: Tensor) -> Tensor:
        x = inputs[0] if inputs else options["input"]
        if x.ndim >= 2:
            try:
                return recorded_linear(x, layer, self.tape, self._detach)
            except RuntimeError:  # within a transform of torch.func; another is raised again
                self._replaced.pop(layer, None)
        return type(layer).forward(layer, x)

    def _by_row(self, module: nn.Module, *inputs: Any, **options: Any) -> Any:
        if not options and _rows(inputs) is not None:
            try:
                return self._mapped(module, inputs)
            except Exception:  # the module cannot be mapped, or raises the same again
                self._replaced.pop(module, None)
        return type(module).forward(module, *inputs, **options)

    def _mapped(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
        trained: dict[str, Tensor] = {
            f"module.{name}": p
            for name, p in module._parameters.items()
            if p is not None and p in self.parameters
        }
        copies = {
            name: (p.detach() if self._detach else p).expand(len(inputs[0]), *p.shape)
            for name, p in trained.items()
        }
        body, padding = _Body(module), _padding_of(module)

        def one(own: dict[str, Tensor], *row: Tensor) -> Any:
            if padding is not None:  # torch.vmap passes gradients to the padding of an embedding
                own = {name: _with_constant_row(padding, p) for name, p in own.items()}
            outputs = functional_call(body, own, tuple(x.unsqueeze(0) for x in row))
            return outputs.squeeze(0)

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "There is a performance drop")
            with _unchanged(module):
                outputs = torch.vmap(one)(copies, *inputs)
        if not self._detach:
            self.copies += [(trained[name], rows) for name, rows in copies.items()]
        return outputs


class _Body(nn.Module):
    """The own forward of a module, whatever has replaced it."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> Any:
        return type(self.module).forward(self.module, *inputs)


@contextmanager
def _unchanged(module: nn.Module) -> Iterator[None]:
    """Raise if a module keeps a tensor of its evaluation, and restore its state if that fails."""
    buffers, attributes = dict(module._buffers), dict(module.__dict__)
    values = [None if buffer is None else buffer.clone() for buffer in buffers.values()]
    try:
        yield
        if _keeps_tensors(buffers, module._buffers) or _keeps_tensors(attributes, module.__dict__):
            raise RuntimeError("a mapped tensor is only valid while it is mapped")
    except Exception:
        for now, before in ((module.__dict__, attributes), (module._buffers, buffers)):
            now.clear()
            now.update(before)
        for buffer, value in zip(buffers.values(), values, strict=True):
            if buffer is not None and value is not None:
                buffer.copy_(value)
        raise


def _keeps_tensors(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    return any(isinstance(v, Tensor) and before.get(name) is not v for name, v in now.items())


def _padding_of(module: nn.Module) -> int | None:
    return module.padding_idx if isinstance(module, nn.Embedding | nn.EmbeddingBag) else None


def _with_constant_row(number: int, weight: Tensor) -> Tensor:
    rows = torch.arange(len(weight), device=weight.device).unsqueeze(1)
    return torch.where(rows == number, weight.detach(), weight)


class _Known:
    """What a model returned, which holds until one of its tensors is changed in place."""

    def __init__(self, inputs: tuple[Any, ...], mode: Hashable, outputs: Any) -> None:
        self.inputs, self.mode, self.outputs = inputs, mode, _copied(outputs)
        self._tensors = [*_tensors_in(inputs), *_tensors_in(outputs)]
        self._versions = [*map(_version, self._tensors)]

    def fits(self, inputs: tuple[Any, ...], mode: Hashable) -> bool:
        same = len(inputs) == len(self.inputs) and all(map(operator.is_, inputs, self.inputs))
        return same and mode == self.mode and self._versions == [*map(_version, self._tensors)]


def _copied(outputs: Any) -> Any:
    """Copy the container of several outputs, which a loss may change."""
    return type(outputs)(outputs) if type(outputs) in (dict, list) else outputs


def _tensors_in(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    for part in parts_of(value) or ():
        yield from _tensors_in(part)


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


def _rows(inputs: tuple[Any, ...]) -> int | None:
    """Return the common number of rows of the inputs of a module, if there is one."""
    if not inputs or not all(isinstance(x, Tensor) and x.ndim for x in inputs):
        return None
    lengths = {len(x) for x in inputs}
    return lengths.pop() if len(lengths) == 1 else None
