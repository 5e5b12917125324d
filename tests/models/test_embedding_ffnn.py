"""Embeddings of categories in front of a feed-forward network."""

from __future__ import annotations

import pytest
import torch

from perceptrain_core.errors import ConfigError, DataError, ShapeError
from perceptrain_core.models import EmbeddingFFNN


def test_numbers_and_embedded_categories():
    torch.manual_seed(0)
    model = EmbeddingFFNN([0, 3, 0, 200], hidden=[8], out_features=2)
    assert [(e.num_embeddings, e.embedding_dim) for e in model.embeddings] == [(3, 2), (200, 50)]
    assert (model.input_size, model.output_size) == (4, 2)
    x = torch.tensor([[0.5, 2, -1.0, 7], [1.5, 0, 3.0, 199]])
    first, second = model.embeddings
    joined = torch.cat([x[:, [0, 2]], first(x[:, 1].long()), second(x[:, 3].long())], dim=1)
    assert torch.equal(model(x), model.network(joined))
    model(x).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_other_dims_and_numbers_alone():
    assert EmbeddingFFNN([5], [4], 1, dims=[7]).embeddings[0].embedding_dim == 7
    assert EmbeddingFFNN([0, 0], [4], 1)(torch.ones(3, 2)).shape == (3, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([-1], [4], 1), r"cardinalities=\[-1\]: expected a list of integers, each at least 0"),
        (([], [4], 1), "there must be columns"),
        (([2], [4], 1, [2, 3]), "expected 1 size, one for each column of categories"),
        (([2], [4], 1, [0]), r"dims=\[0\]: expected a list of integers, each at least 1"),
    ],
)
def test_sizes_that_do_not_fit(arguments, message):
    with pytest.raises(ConfigError, match=message):
        EmbeddingFFNN(*arguments)


def test_inputs_that_do_not_fit():
    model = EmbeddingFFNN([0, 3], [4], 1)
    with pytest.raises(ShapeError, match=r"got inputs of shape \(2, 3\); expected \(N, 2\)"):
        model(torch.ones(2, 3))
    with pytest.raises(DataError, match="EmbeddingFFNN got"):
        model({"a": 1})
