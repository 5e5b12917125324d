from __future__ import annotations

import torch

from perceptrain import to_dataloader
from perceptrain_core.data import Epochs


def test_epoch_of_a_finite_loader_is_all_its_batches() -> None:
    epochs = Epochs([1, 2, 3])
    assert [list(epochs.batches()) for _ in range(2)] == [[1, 2, 3]] * 2
    assert epochs.count() == 3


def test_epoch_of_an_infinite_loader_is_its_next_batch() -> None:
    epochs = Epochs(to_dataloader(torch.arange(4), infinite=True), limit=3)
    taken = [int(batch[0]) for _ in range(4) for batch in epochs.batches()]
    assert sorted(taken) == [0, 1, 2, 3]
    assert epochs.count() == 1


def test_epoch_without_data_is_one_batch_of_nothing() -> None:
    assert list(Epochs(None).batches()) == [None]
    assert Epochs(None).count() == 1


def test_epoch_has_at_most_so_many_batches() -> None:
    assert list(Epochs([1, 2, 3], limit=2).batches()) == [1, 2]
    assert Epochs([1, 2, 3], limit=2).count() == 2
    assert Epochs([1, 2, 3], limit=9).count() == 3
    assert Epochs(iter([1, 2, 3]), limit=2).count() == 2
    assert Epochs(iter([1, 2, 3])).count() is None
