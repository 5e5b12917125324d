import pytest
import torch
from torch import nn

from perceptrain_core.errors import DataError, ShapeError
from perceptrain_core.losses import cosine_embedding_loss

IDENTITY = nn.Identity()


@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_it_is_torchs(margin):
    pair, labels = (torch.randn(5, 3), torch.randn(5, 3)), torch.tensor([1, -1, 1, -1, -1])
    loss, metrics = cosine_embedding_loss((pair, labels), IDENTITY, margin=margin)
    torch.testing.assert_close(loss, nn.CosineEmbeddingLoss(margin)(*pair, labels))
    assert metrics == {}


@pytest.mark.parametrize(
    ("outputs", "labels", "error", "message"),
    [
        (torch.ones(5, 3), (5,), DataError, r"expected a tuple of two embeddings \(x1, x2\)"),
        ((torch.ones(5, 3), torch.ones(5, 2)), (5,), ShapeError, "expected the same"),
        ((torch.ones(5, 3),) * 2, (5, 1), ShapeError, r"expected one label, 1 or -1.*\(5,\)"),
    ],
)
def test_what_does_not_fit(outputs, labels, error, message):
    with pytest.raises(error, match=message):
        cosine_embedding_loss((outputs, torch.ones(labels)), IDENTITY)
