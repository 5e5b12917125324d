"""Lists of dimensions that MONAI makes with tensors, while a step is recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from perceptrain import is_capturing


def known_dimensions() -> AbstractContextManager[Any]:
    """Answer ``torch.arange(2, ndim).tolist()`` without a read, if a step is being recorded."""
    return _KnownDimensions() if is_capturing() else nullcontext()


class _KnownDimensions(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self._known: list[tuple[Tensor, list[int]]] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Remember the numbers of each range."""
        if func is Tensor.tolist:
            for tensor, numbers in self._known:
                if tensor is args[0]:
                    return [*numbers]
        result = func(*args, **(kwargs or {}))
        if func is torch.arange and not kwargs and all(isinstance(end, int) for end in args):
            self._known.append((result, [*range(*args)]))
        return result
