"""A feed-forward network with embeddings of categories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.errors import ConfigError, DataError, ShapeError
from perceptrain_core.models.base import Model
from perceptrain_core.models.ffnn import FFNN
from perceptrain_core.plurals import counted
from perceptrain_core.tensors import describe, only_tensor

_LARGEST = 50


class EmbeddingFFNN(Model):
    """An `FFNN` whose inputs are numbers and trainable vectors for categories.

    Each row of the input holds numbers and the codes of categories, as a run file with
    ``categories = "codes"`` makes them; a run file also sets ``cardinalities`` and
    ``out_features``.

    Args:
        cardinalities: For each input column, the number of categories, or 0 for a number.
        hidden: The sizes of the hidden layers.
        out_features: The last dimension of the outputs.
        dims: The sizes of the vectors of each category column, in their order; by default
            ``min(50, (cardinality + 1) // 2)``.
        activation_function: The activation between the layers, see `FFNN`.

    Attributes:
        embeddings: An ``nn.Embedding`` for each category column.
        network: The `FFNN`.

    Raises:
        ConfigError: The sizes are invalid.
    """

    places: Tensor
    numbers: Tensor

    def __init__(
        self,
        cardinalities: Sequence[int],
        hidden: Sequence[int],
        out_features: int,
        dims: Sequence[int] | None = None,
        activation_function: nn.Module | type[nn.Module] | str = "tanh",
    ) -> None:
        super().__init__()
        self.cardinalities = _checked("cardinalities", cardinalities, smallest=0)
        sizes = [size for size in self.cardinalities if size]
        if dims is None:
            dims = [min(_LARGEST, (size + 1) // 2) for size in sizes]
        dims = _checked("dims", dims, smallest=1)
        if len(dims) != len(sizes) or not self.cardinalities:
            raise ConfigError(
                f"dims={list(dims)}: expected {counted(len(sizes), 'size')}, one for each column "
                "of categories, and there must be columns."
            )
        self.embeddings = nn.ModuleList(map(nn.Embedding, sizes, dims))
        places = [i for i, size in enumerate(self.cardinalities) if size]
        numbers = [i for i, size in enumerate(self.cardinalities) if not size]
        self.register_buffer("places", torch.tensor(places, dtype=torch.int64), persistent=False)
        self.register_buffer("numbers", torch.tensor(numbers, dtype=torch.int64), persistent=False)
        layers = [len(numbers) + sum(dims), *hidden, out_features]
        self.network = FFNN(layers, activation_function)

    @property
    def input_size(self) -> int:
        """The last dimension of the inputs."""
        return len(self.cardinalities)

    @property
    def output_size(self) -> int:
        """The last dimension of the outputs."""
        return self.network.output_size

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate the network.

        Args:
            x: Inputs of shape ``(N, columns)``, in the dtype of the parameters, with codes as
                whole numbers.

        Returns:
            Outputs of shape ``(N, out_features)``.

        Raises:
            DataError: ``x`` is not a tensor.
            ShapeError: It has another number of columns.
        """
        x = only_tensor(x)
        if not isinstance(x, Tensor):
            raise DataError(f"EmbeddingFFNN got {describe(x)}; expected a tensor.")
        if x.shape[-1:] != (self.input_size,):
            raise ShapeError(
                f"EmbeddingFFNN got inputs of shape {tuple(x.shape)}; expected "
                f"(N, {self.input_size}), a column for each of cardinalities."
            )
        codes = x.index_select(-1, self.places).long().unbind(-1)
        vectors = [embed(code) for embed, code in zip(self.embeddings, codes, strict=True)]
        outputs: Tensor = self.network(torch.cat([x.index_select(-1, self.numbers), *vectors], -1))
        return outputs


def _checked(name: str, sizes: Any, smallest: int) -> tuple[int, ...]:
    numbers = tuple(sizes) if isinstance(sizes, Sequence) and not isinstance(sizes, str) else (-1,)
    if all(type(size) is int and size >= smallest for size in numbers):
        return numbers
    raise ConfigError(f"{name}={sizes!r}: expected a list of integers, each at least {smallest}.")
