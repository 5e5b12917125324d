from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Normal, Uniform
from torch.utils.data import DataLoader

from perceptrain import DictDataLoader, to_dataloader
from perceptrain.data import R3Dataset
from perceptrain.errors import DataError, ShapeError
from perceptrain_core.data import as_loader


class Counter:
    """Points that are all different: each coordinate is a number never given before."""

    def __init__(self) -> None:
        self.given = 0

    def __call__(self, n: int) -> Tensor:
        first, self.given = self.given, self.given + 2 * n
        return torch.arange(first, self.given, dtype=torch.float64).reshape(n, 2)


@given(
    fitness=st.lists(st.floats(width=32), min_size=1, max_size=12),
    threshold=st.floats(0, 2),
    column=st.booleans(),
)
def test_points_at_or_above_the_threshold_stay_and_the_rest_is_new(
    fitness: list[float], threshold: float, column: bool
) -> None:
    data = R3Dataset(Counter(), len(fitness), threshold)
    before = data.features.clone()
    values = torch.tensor(fitness, dtype=torch.float64)
    data.update(values[:, None] if column else values)
    for row, value in enumerate(fitness):
        kept = value >= threshold  # False for NaN
        assert torch.equal(data.features[row], before[row]) == kept
        assert (data.features[row] > before.max()).all() != kept
    assert data.n_retained + data.n_released == len(data) == len(fitness)
    assert data.n_retained == sum(value >= threshold for value in fitness)


def test_nothing_is_drawn_when_all_stay() -> None:
    source = Counter()
    data = R3Dataset(source, 5)
    data.update(torch.full((5,), 0.1))
    assert (source.given, data.n_released, data.n_retained) == (10, 0, 5)


def test_threshold_is_a_tenth_by_default() -> None:
    data = R3Dataset(Counter(), 3)
    data.update(torch.tensor([0.05, 0.15, 0.0]))
    assert data.n_retained == 1


def by_dict(data: R3Dataset) -> DictDataLoader:
    other = to_dataloader(torch.zeros(9, 1), batch_size=3)
    return DictDataLoader({"pde": DataLoader(data, batch_size=4), "other": other})


LOADERS: dict[str, Callable[[R3Dataset], Any]] = {
    "DataLoader": lambda data: DataLoader(data, batch_size=3),
    "shuffled": lambda data: DataLoader(data, batch_size=3, shuffle=True),
    "workers": lambda data: DataLoader(data, batch_size=3, num_workers=1),
    "as data of fit": lambda data: as_loader(data, 3, shuffle=True),
    "in a dict of fit": lambda data: as_loader({"pde": data}, 3, shuffle=True),
    "DictDataLoader": by_dict,
    "features": lambda data: to_dataloader(data.features, batch_size=3),
}


def points_of(batch: Any) -> Tensor:
    if isinstance(batch, dict):
        batch = batch["pde"]
    return batch[0] if isinstance(batch, tuple | list) else batch


@pytest.mark.parametrize("kind", LOADERS)
def test_next_epoch_has_the_new_points(kind: str) -> None:
    data = R3Dataset(Counter(), 8, 0.5)
    loader = LOADERS[kind](data)
    for _ in range(3):
        batches = [points_of(batch) for batch in loader]
        assert all(batch.dim() == 2 for batch in batches)
        seen = {tuple(point.tolist()) for batch in batches for point in batch}
        assert seen == {tuple(point.tolist()) for point in data.features}
        data.update(torch.arange(8) % 2)
        assert data.n_released == 4


@pytest.mark.parametrize(
    ("dist", "shape"),
    [
        (Normal(0.0, 1.0), (6, 1)),
        (Uniform(torch.zeros(3), torch.ones(3)), (6, 3)),
        (Normal(0.0, 1.0).sample, (6, 1)),
        (Normal(torch.zeros(2), 1.0).rsample, (6, 2)),
        (lambda n: torch.rand(n, 2, requires_grad=True) * 2, (6, 2)),
    ],
)
def test_what_points_are_drawn_from(dist: Any, shape: tuple[int, ...]) -> None:
    data = R3Dataset(dist, 6)
    assert data.features.shape == shape
    assert not data.features.requires_grad
    data.update(torch.zeros(6))
    assert data.features.shape == shape


def test_tensor_of_the_user_is_not_changed() -> None:
    own = torch.rand(4, 2)
    before = own.clone()
    data = R3Dataset(lambda n: own[:n], 4)
    data.features += 1
    assert torch.equal(own, before)


def test_state_is_a_copy_and_comes_back_in_place() -> None:
    data = R3Dataset(Counter(), 4)
    data.update(torch.tensor([0.0, 1.0, 1.0, 1.0]))
    state, points, features = data.state_dict(), data.features.clone(), data.features
    data.update(torch.zeros(4))
    assert not torch.equal(state["features"], data.features)
    data.load_state_dict(state)
    assert data.features is features
    assert torch.equal(features, points)
    assert (data.n_retained, data.n_released) == (3, 1)


def test_state_of_another_size_is_refused() -> None:
    state = R3Dataset(Counter(), 4).state_dict()
    with pytest.raises(ShapeError, match=r"\(4, 2\), this data set's \(5, 2\)"):
        R3Dataset(Counter(), 5).load_state_dict(state)


@pytest.mark.parametrize(
    ("fitness", "given"),
    [
        (torch.tensor(1.0), r"\(\)"),
        (torch.ones(1, 4), r"\(1, 4\)"),
        (torch.ones(3), r"\(3,\)"),
        ([1, 2, 3, 4], "list"),
    ],
)
def test_fitness_of_another_shape_is_refused(fitness: Any, given: str) -> None:
    data = R3Dataset(Counter(), 4)
    before = data.features.clone()
    with pytest.raises(
        ShapeError, match=rf"The fitness is {given}; expected .* \(4,\) or \(4, 1\)"
    ):
        data.update(fitness)
    assert torch.equal(data.features, before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"proba_dist": torch.rand(3, 2)}, "proba_dist is of type Tensor"),
        ({"proba_dist": lambda n: torch.rand(n + 1, 2)}, r"proba_dist\(4\) returned .*\(5, 2\)"),
        ({"proba_dist": lambda n: [0.0] * n}, r"proba_dist\(4\) returned a list"),
        ({"n_samples": 0}, "n_samples=0: expected a whole number of at least 1"),
        ({"n_samples": 2.5}, "n_samples=2.5: expected a whole number of at least 1"),
        ({"release_threshold": float("nan")}, "release_threshold=nan: expected a number"),
        ({"release_threshold": -1}, "release_threshold=-1: expected a number of at least 0"),
        ({"release_threshold": "0.1"}, "release_threshold='0.1': expected a number"),
    ],
)
def test_what_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        R3Dataset(**({"proba_dist": Counter(), "n_samples": 4} | options))


def test_points_that_change_shape_are_refused() -> None:
    data = R3Dataset(lambda n: torch.zeros(n, 2 if n == 4 else 3), 4)
    with pytest.raises(DataError, match=r"points of shape \(3,\); at the start .* \(2,\)"):
        data.update(torch.tensor([0.0, 1.0, 1.0, 1.0]))
