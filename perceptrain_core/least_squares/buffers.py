"""Memory that is used again by the next step."""

from __future__ import annotations

from torch import Tensor


class Buffers:
    """Large tensors by name, which keep their memory while shapes stay the same.

    The system hands out the memory of a new tensor of megabytes page by page, when it is first
    written. That takes longer than computing a Jacobian.
    """

    def __init__(self) -> None:
        self._tensors: dict[str, Tensor] = {}

    def get(self, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return a tensor with any values, which a later call with this name may overwrite.

        Args:
            name: What it is for.
            shape: Its shape.
            like: Has its dtype and device.
        """
        found = self._tensors.get(name)
        kind = shape, like.dtype, like.device
        if found is None or (tuple(found.shape), found.dtype, found.device) != kind:
            self._tensors.pop(name, None)  # before the new one needs memory
            found = self._tensors[name] = like.new_empty(shape)
        return found
