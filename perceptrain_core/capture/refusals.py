"""What a graph would not repeat, refused while it is recorded: reads, prints, files, exchanges."""

from __future__ import annotations

import builtins
import io
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from threading import get_ident
from typing import Any, NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor, fx
from torch.distributions import Distribution
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from perceptrain_core.capturing import NotCapturable, capturing

_READS: dict[Any, str] = {
    Tensor.item: ".item()",
    Tensor.tolist: ".tolist()",
    Tensor.numpy: ".numpy()",
    Tensor.__array__: "NumPy",
    Tensor.__bool__: "a condition",
    Tensor.__float__: "float()",
    Tensor.__int__: "int()",
    Tensor.__index__: "an index",
    Tensor.__repr__: "repr()",
    Tensor.__format__: "format()",
    Tensor.__dlpack__: "DLPack",
    Tensor.data_ptr: ".data_ptr()",
    torch.equal: "torch.equal",
    torch.allclose: "torch.allclose",
    torch.is_nonzero: "torch.is_nonzero",
}
_SPLITS = torch.tensor_split, Tensor.tensor_split
_TORCH = str(Path(torch.__file__).parent)  # which logs what it does itself
_refused: list[NotCapturable] = []


def _refuse(reason: str) -> NoReturn:
    """Raise an error, and remember it, in case the loss catches it."""
    _refused.append(NotCapturable(reason))
    raise _refused[-1]


class RefusesReads(TorchFunctionMode):
    """Raise where a value of a tensor is read."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call the function, unless it reads a value.

        Raises:
            NotCapturable: It does.
        """
        if func in _READS:
            _refuse(f"the loss reads the value of a tensor with {_READS[func]}")
        if func in _SPLITS and any(isinstance(arg, Tensor) for arg in args[1:]):
            _refuse("the loss splits a tensor at the values of another")
        if func is F.one_hot:  # which checks the classes
            return _one_hot(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    if num_classes < 0:
        _refuse("a shape depends on values, by one_hot without num_classes")
    return tensor.unsqueeze(-1).eq(torch.arange(num_classes, device=tensor.device)).long()


class _RefusesCollectives(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Raise before processes exchange something, which each of them would do at other times."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call the operation, unless it is a collective one.

        Raises:
            NotCapturable: It is.
        """
        if "c10d" in func.namespace:
            _refuse("the loss exchanges tensors with other processes")
        return func(*args, **(kwargs or {}))


class _Printed(io.TextIOBase):
    """Notices what the recording thread prints; other threads print as usual.

    Args:
        stream: Where they print.
    """

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self._stream, self._recording = stream, get_ident()

    def write(self, text: str) -> int:
        """Write a text, or refuse it.

        Raises:
            NotCapturable: The recording thread prints.
        """
        if get_ident() == self._recording:
            _refuse("the loss prints")
        return int(self._stream.write(text) or 0)

    def flush(self) -> None:
        """Flush the stream of the other threads."""
        self._stream.flush()


@contextmanager
def _refuses_files() -> Iterator[None]:
    """Raise where a file is opened to be written, which a graph would not repeat."""
    opened, recording = builtins.open, get_ident()

    def refuse(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
        if get_ident() == recording and not {"w", "a", "x", "+"}.isdisjoint(mode):
            _refuse(f"the loss writes the file {file}")
        return opened(file, mode, *args, **options)

    builtins.open = io.open = refuse
    try:
        yield
    finally:
        builtins.open = io.open = opened


@contextmanager
def _refuses_logging() -> Iterator[None]:
    """Raise where a message is logged; handlers may have any stream."""
    made, recording = logging.getLogRecordFactory(), get_ident()

    def refuse(name: str, level: int, file: str, *args: Any, **options: Any) -> logging.LogRecord:
        if get_ident() == recording and not file.startswith(_TORCH):
            _refuse(f"the loss logs a message with the logger {name!r}")
        return made(name, level, file, *args, **options)

    logging.setLogRecordFactory(refuse)
    try:
        yield
    finally:
        logging.setLogRecordFactory(made)


@contextmanager
def _unchecked_distributions() -> Iterator[None]:
    """Let torch's distributions not check their arguments, for which they read values."""
    checks = Distribution._validate_args
    Distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        Distribution.set_default_validate_args(checks)


@contextmanager
def refusals() -> Iterator[None]:
    """Refuse, inside a ``with`` block, what a graph would not repeat; `is_capturing` is true.

    Raises:
        NotCapturable: Something was refused, even if the error was caught in the block.
    """
    _refused.clear()
    out, err = _Printed(sys.stdout), _Printed(sys.stderr)
    with ExitStack() as stack:
        stack.enter_context(capturing())
        stack.enter_context(_refuses_files())
        stack.enter_context(_refuses_logging())
        stack.enter_context(_unchecked_distributions())
        stack.enter_context(redirect_stdout(out))
        stack.enter_context(redirect_stderr(err))
        stack.enter_context(RefusesReads())
        stack.enter_context(_RefusesCollectives())  # type: ignore[no-untyped-call]
        yield
    if _refused:
        raise _refused[0]


def refuse_data_dependence(graph: fx.Graph) -> None:
    """Check that no shape in a graph depends on values.

    Raises:
        NotCapturable: One does.
    """
    for node in graph.nodes:
        tags = getattr(node.target, "tags", ())
        masks = _is_masked(node)
        if masks or (torch.Tag.dynamic_output_shape in tags and not _is_plain_index(node)):
            name = str(node.target).removeprefix("aten.").partition(".")[0]
            raise NotCapturable(f"a shape depends on values, by {'a mask' if masks else name}")


def _is_plain_index(node: fx.Node) -> bool:
    return node.target is torch.ops.aten.index.Tensor


def _is_masked(node: fx.Node) -> bool:
    if node.target is not torch.ops.aten.index.Tensor:
        return False
    indices = [i.meta.get("val") for i in node.args[1] if isinstance(i, fx.Node)]  # type: ignore[union-attr]
    return any(isinstance(i, Tensor) and i.dtype in (torch.bool, torch.uint8) for i in indices)
