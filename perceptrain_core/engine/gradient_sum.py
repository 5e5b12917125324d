"""The sum of the gradients of all processes, exchanged while they are computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import finalize, ref

import torch
import torch.distributed as dist
from torch import Tensor
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors

from perceptrain_core.errors import TrainingError

# Gradients are collected up to this size. Copying is cheap on a GPU, and an exchange is not; on a
# CPU it is the other way round.
_BUCKET_BYTES = {"cpu": 2**20}
_GPU_BUCKET_BYTES = 25 * 2**20
_NONE, _DENSE = 0, 1


class GradientSum:
    """Replaces the gradients of parameters by their sums over all processes.

    The gradients travel in buckets, which are sent in the same order in all processes, each as soon
    as it is complete. What is incomplete at the end of the backward pass is sent then, with zeros
    for the gradients that this process does not have. So no process waits for the gradient of a
    parameter that it uses alone, and nothing has to be known before the backward pass. Which
    parameters are used, and numbers that all processes need, travel with the last bucket.

    Args:
        parameters: The parameters, the same in all processes.
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self._sparse_kind = dist.get_world_size() + 1  # more than the sum where all are dense
        self._is_open = False
        self._sent: list[_Sent] = []
        self._handles: list[Any] = []
        finalize(self, _remove, self._handles)
        self.replace(parameters)

    @property
    def is_open(self) -> bool:
        """Whether gradients are sent as they are computed."""
        return self._is_open

    def replace(self, parameters: Sequence[Tensor]) -> None:
        """Add up the gradients of other parameters from now on, the same in all processes."""
        self._parameters = [*parameters]
        self._sparse: set[int] = set()
        self._fill_buckets()

    def start(self) -> None:
        """Send each bucket as soon as the coming backward pass has computed its gradients."""
        self._is_open, self._sent = True, []
        self._missing = [set(bucket) for bucket in self._buckets]

    def finish(self, numbers: Sequence[float] = ()) -> list[float]:
        """Send the rest, and set the gradients; a parameter that no process uses keeps ``None``.

        Args:
            numbers: As many in each process.

        Returns:
            The sums of the numbers over all processes.
        """
        if not self._is_open:
            self.start()
        self._is_open = False
        kinds: list[float] = [self._kind(parameter.grad) for parameter in self._parameters]
        sums: list[float] = []
        with torch.no_grad():
            while len(self._sent) < len(self._buckets) - 1:
                self._send()
            self._send([*numbers, *kinds])
            for sent in self._sent:
                sent.work.wait()
            # Not read on a GPU unless needed: it would make this process wait.
            on_cpu = self._last.device.type == "cpu"
            if on_cpu or numbers or any(kind != _DENSE for kind in kinds):
                sums = self._sent[-1].flat[-len(numbers) - len(kinds) :].tolist()
                kinds = sums[len(numbers) :]
            self._set_gradients(kinds)
        self._sent = []
        return sums[: len(numbers)]

    def average(self) -> None:
        """Send the rest, and set the gradients to the means over all processes.

        A mean from an earlier backward pass, to which the gradients were added, stays as it is.
        """
        self.finish()
        for parameter in self._parameters:
            if parameter.grad is not None:
                parameter.grad.detach().div_(dist.get_world_size())

    def _send(self, extra: Sequence[float] = ()) -> None:
        """Send the next bucket; the last one has something extra."""
        bucket = self._buckets[len(self._sent)]
        gradients = [self._dense(self._parameters[number]) for number in bucket]
        alone = len(gradients) == 1 and not extra and gradients[0].is_contiguous()
        if alone:  # in place
            flat = gradients[0].view(-1)
        else:
            like = self._last
            rest = [torch.tensor(extra, dtype=like.dtype, device=like.device)] if extra else []
            flat = _flatten_dense_tensors([*gradients, *rest])  # type: ignore[no-untyped-call]
        work = dist.all_reduce(flat, async_op=True)
        self._sent.append(_Sent(bucket, gradients, flat, not alone, work))

    def _dense(self, parameter: Tensor) -> Tensor:
        gradient = parameter.grad
        if gradient is None or gradient.is_sparse:
            return torch.zeros_like(parameter, memory_format=torch.contiguous_format)
        return gradient

    def _set_gradients(self, kinds: Sequence[float]) -> None:
        for sent in self._sent:
            sums = _unflatten_dense_tensors(sent.flat, sent.gradients)  # type: ignore[no-untyped-call]
            for number, gradient, values in zip(sent.bucket, sent.gradients, sums, strict=True):
                parameter, kind = self._parameters[number], kinds[number]
                if kind == _NONE or kind >= self._sparse_kind:
                    continue
                if not gradient.is_contiguous():  # as of a parameter with channels last
                    gradient.copy_(values)
                elif sent.copied or parameter.grad is None:
                    parameter.grad = values
        found = {n for n, kind in enumerate(kinds) if kind >= self._sparse_kind}
        for number in sorted(found):
            self._sum_sparse(self._parameters[number])
        if not found <= self._sparse:
            # They travel alone from now on: most of their rows are zero.
            self._sparse |= found
            self._fill_buckets()

    def _sum_sparse(self, parameter: Tensor) -> None:
        """Add up gradients with some of the rows, as those of embeddings."""
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        # A process in which the embedding is also used as a matrix has a dense gradient.
        parameter.grad = gradient if gradient.is_sparse else gradient.to_sparse(1)
        dist.all_reduce(parameter.grad)

    def _kind(self, gradient: Tensor | None) -> int:
        """Say what a gradient is; the sum over all processes says what all of them get."""
        if gradient is None:
            return _NONE
        return self._sparse_kind if gradient.is_sparse else _DENSE

    def _fill_buckets(self) -> None:
        """Divide the parameters, the last one first, as their gradients are computed."""
        buckets: list[list[int]] = []
        filling: dict[Any, tuple[list[int], int]] = {}
        for number in reversed(range(len(self._parameters))):
            if number in self._sparse:
                continue
            parameter = self._parameters[number]
            kind = parameter.device, parameter.dtype
            size = parameter.numel() * parameter.element_size()
            limit = _BUCKET_BYTES.get(parameter.device.type, _GPU_BUCKET_BYTES)
            bucket, filled = filling.get(kind, ([], limit))
            if filled + size > limit:
                bucket, filled = [], 0
                buckets.append(bucket)
            bucket.append(number)
            filling[kind] = bucket, filled + size
        device = self._parameters[0].device if self._parameters else torch.device("cpu")
        last = self._parameters[buckets[-1][0]] if buckets else None
        if last is None or last.dtype not in (torch.float32, torch.float64):
            buckets.append([])
            last = torch.empty(0, device=device, dtype=torch.float64)  # holds any number of rows
        self._buckets, self._last = buckets, last
        self._listen()

    def _listen(self) -> None:
        """Notice when gradients are computed, if that can complete a bucket before the last."""
        _remove(self._handles)
        for place, bucket in enumerate(self._buckets if len(self._buckets) > 1 else ()):
            for number in bucket:
                register: Any = self._parameters[number].register_post_accumulate_grad_hook
                self._handles.append(register(_listener(self, place, number)))

    def arrive(self, place: int, number: int) -> None:
        """Note the gradient of a parameter, and send the buckets that are complete.

        Raises:
            TrainingError: The gradient was sent already.
        """
        if not self._is_open:
            return
        if place < len(self._sent):
            raise TrainingError(
                "A parameter got a second gradient in one backward pass, after the first had been "
                "sent to the other processes. This happens with "
                "torch.utils.checkpoint(use_reentrant=True) if several parts use the same "
                "parameters: pass use_reentrant=False."
            )
        self._missing[place].discard(number)
        with torch.no_grad():
            while (first := len(self._sent)) < len(self._buckets) - 1 and not self._missing[first]:
                self._send()


@dataclass
class _Sent:
    """A bucket on its way: its gradients, which may be parts of ``flat`` or copied to it."""

    bucket: Sequence[int]
    gradients: Sequence[Tensor]
    flat: Tensor
    copied: bool
    work: Any


def _listener(owner: GradientSum, place: int, number: int) -> Callable[[Tensor], None]:
    found = ref(owner)  # the parameters live longer

    def arrived(parameter: Tensor) -> None:
        own = found()
        if own is not None:
            own.arrive(place, number)

    return arrived


def _remove(handles: list[Any]) -> None:
    for handle in handles:
        handle.remove()
    handles.clear()
