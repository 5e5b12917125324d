"""What is given wrongly is said clearly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pytorch_metric_learning import miners
from torch import nn

from perceptrain import PerceptrainError, get_loss
from perceptrain.errors import ConfigError, DataError, OptionError, ShapeError
from perceptrain_metric_learning import get_part, perceptrain_losses, precision_at_1
from perceptrain_metric_learning.parts import PARTS

NAMES = [spec.name for spec in perceptrain_losses()]
WITH_PROXIES = NAMES[6:]
PROXIES = {"num_classes": 4, "embedding_size": 5}

#: The options that parts of the library cannot be made without.
NEEDED: dict[str, dict[str, Any]] = {
    "class_weighted": {"weights": [1.0, 2.0]},
    "threshold": {"low": 0.1},
    "sparse_centers": {"num_classes": 2, "centers_per_class": 2},
}


def options(name: str) -> dict[str, Any]:
    return PROXIES if name in WITH_PROXIES else {}


def network() -> nn.Module:
    return nn.Linear(6, 5)


def data() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(24, 6), torch.arange(24) % 4


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("triplet", {"margin": "a"}, "margin='a'"),
        ("triplet", {"swap": 1}, "swap=1"),
        ("triplet", {"triplets_per_anchor": 0}, "triplets_per_anchor=0"),
        ("triplet", {"triplets_per_anchor": "some"}, "triplets_per_anchor='some'"),
        ("contrastive", {"neg_margin": None}, "neg_margin=None"),
        ("nt_xent", {"temperature": 0}, "temperature=0"),
        ("supcon", {"temperature": float("nan")}, "temperature=nan"),
        ("circle", {"distance": "lp"}, "CircleLoss"),
        ("circle", {"embedding_reg_weight": "1"}, "embedding_reg_weight='1'"),
        ("arcface", {"num_classes": 0, "embedding_size": 5}, "num_classes=0"),
        ("arcface", {"num_classes": 4, "embedding_size": 5.0}, "embedding_size=5.0"),
        ("sub_center_arcface", {**PROXIES, "sub_centers": True}, "sub_centers=True"),
        ("soft_triple", {**PROXIES, "gamma": -1}, "gamma=-1"),
        ("soft_triple", {**PROXIES, "distance": "lp"}, "SoftTripleLoss"),
        ("proxy_nca", {**PROXIES, "weight_init_func": 3}, "ProxyNCALoss"),
        ("supcon", {"miner": "batch_hart"}, "Did you mean 'batch_hard'?"),
        ("supcon", {"miner": 3}, "The miner is 3"),
        ("supcon", {"miner": {"margin": 1}}, "expected a name"),
        ("supcon", {"miner": {"name": "pair_margin", "margin": 1}}, "does not take 'margin'"),
        ("supcon", {"miner": {"name": "batch_easy_hard", "pos_strategy": "x"}}, "must be one of"),
        ("supcon", {"miner": {"name": "batch_hard", "distance": "l2"}}, "There is no distance"),
        ("supcon", {"reducer": "threshold"}, "The reducer 'threshold'"),
        ("supcon", {"reducer": miners.HDCMiner()}, "subclass of BaseReducer"),
        ("supcon", {"miner": nn.Linear}, "The miner is"),
        ("soft_triple", {**PROXIES, "distance": "lp"}, "Use the distance 'cosine_similarity'"),
        ("triplet", {"miner": {"name": "triplet_margin", "margin": "a"}}, "margin='a'"),
        (
            "triplet",
            {"miner": {"name": "triplet_margin", "type_of_triplets": "semi-hard"}},
            "expected one of all, hard, semihard, easy",
        ),
        ("triplet", {"miner": {"name": "hdc", "filter_percentage": 50}}, "at most 1"),
        ("triplet", {"miner": {"name": "uniform_histogram", "num_bins": 2.5}}, "num_bins=2.5"),
        ("triplet", {"miner": {"name": "batch_hard", "pos_strategy": "easy"}}, "cannot be set"),
        ("triplet", {"distance": {"name": "lp", "p": -1}}, "p=-1"),
        ("triplet", {"distance": {"name": "lp", "normalize_embeddings": "no"}}, "true or false"),
        ("triplet", {"reducer": {"name": "threshold", "low": "a"}}, "low='a'"),
        ("triplet", {"reducer": {"name": "class_weighted", "weights": 3}}, "weights=3"),
        ("triplet", {"reducer": {"name": "class_weighted", "weights": ["a"]}}, "weights=['a']"),
    ],
)
def test_wrong_options(name: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, OptionError)) as caught:
        get_loss(name, **given)
    assert message in str(caught.value)


def test_numbers_of_numpy_are_numbers() -> None:
    loss_fn: Any = get_loss("arcface", num_classes=np.int64(4), embedding_size=5, scale=np.int64(8))
    loss, _ = loss_fn(data(), network())
    assert loss.isfinite()
    loss, _ = get_loss("triplet", margin=np.float32(0.1))(data(), network())
    assert loss.isfinite()


def test_parts_that_do_not_fit_the_loss() -> None:
    with pytest.raises(ConfigError, match="TripletLoss of LpDistance, PerAnchorReducer"):
        get_loss("triplet", reducer="per_anchor")(data(), network())
    sparse = {"name": "sparse_centers", "num_classes": 3, "centers_per_class": 2}
    with pytest.raises(ConfigError, match="another reducer or regularizer"):
        get_loss("arcface", **PROXIES, weight_regularizer=sparse)(data(), network())


def test_classes_without_a_weight() -> None:
    inputs, labels = data()
    loss_fn = get_loss("supcon", reducer={"name": "class_weighted", "weights": [1, 2, 3]})
    with pytest.raises(DataError, match="from 0 to 3, and the reducer has 3 weights"):
        loss_fn((inputs, labels), network())
    with pytest.raises(DataError, match="from -1 to 2"):
        loss_fn((inputs, labels - 1), network())


@pytest.mark.parametrize("miner", PARTS["miner"])
def test_a_model_that_diverged_gives_nan_whatever_the_miner(miner: str) -> None:
    inputs, labels = data()
    loss, _ = get_loss("triplet", miner=miner)((inputs * torch.nan, labels), network())
    assert loss.isnan()


class Failing(miners.BaseMiner):  # type: ignore[misc]
    """A miner with a fault of its own."""

    def mine(self, *args: object) -> None:
        raise KeyError("mine")


def test_a_fault_of_ones_own_miner_is_shown_as_it_is() -> None:
    with pytest.raises(KeyError, match="mine"):
        get_loss("triplet", miner=Failing())(data(), network())


def test_missing_and_unknown_options() -> None:
    with pytest.raises(OptionError, match="num_classes"):
        get_loss("arcface", embedding_size=5)
    with pytest.raises(OptionError, match="temperature"):
        get_loss("supcon", temprature=0.1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda x, y: x, DataError, "expected (inputs, labels)"),
        (lambda x, y: (x, y, y), DataError, "tuple of 3"),
        (lambda x, y: (x, y.tolist()), DataError, "list"),
        (lambda x, y: {"image": x, "label": y}, DataError, "It has 'image', 'label'"),
        (lambda x, y: (x, y.numpy()), DataError, "torch.as_tensor(labels)"),
        (lambda x, y: (x, torch.eye(4)[y]), DataError, "labels.argmax(1)"),
        (lambda x, y: (x, torch.eye(4).long()[y]), ShapeError, "labels.argmax(1)"),
        (lambda x, y: (x, y.float()), DataError, "classes = true"),
        (lambda x, y: (x, y.float()), DataError, "labels.long()"),
        (lambda x, y: (x, y[:, None]), ShapeError, "labels.squeeze(1)"),
        (lambda x, y: (x, y[1:]), ShapeError, "(23,)"),
        (lambda x, y: (x[0], y[:1]), ShapeError, "(N, d)"),
        (lambda x, y: (x[:0], y[:0]), DataError, "empty"),
    ],
)
def test_wrong_batches(name: str, change: Any, error: type[PerceptrainError], message: str) -> None:
    with pytest.raises(error) as caught:
        get_loss(name, **options(name))(change(*data()), network())
    assert message in str(caught.value)


class Two(nn.Module):
    """A model of two outputs."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, x


def test_wrong_outputs() -> None:
    with pytest.raises(DataError, match="The model returned tuple"):
        get_loss("supcon")(data(), Two())


@pytest.mark.parametrize(
    ("classes", "size", "labels", "error", "message"),
    [
        (3, 5, 0, DataError, "from 0 to 3"),
        (4, 5, -1, DataError, "from -1 to 2"),
        (4, 6, 0, ShapeError, "embedding_size=6"),
    ],
)
def test_wrong_classes(
    classes: int, size: int, labels: int, error: type[PerceptrainError], message: str
) -> None:
    inputs, own = data()
    for name in WITH_PROXIES:
        loss_fn = get_loss(name, num_classes=classes, embedding_size=size)
        with pytest.raises(error, match=message):
            loss_fn((inputs, own + labels), network())


def test_embeddings_of_more_precision_than_the_proxies() -> None:
    inputs, labels = data()
    loss_fn: Any = get_loss("arcface", **PROXIES)
    batch = inputs.double(), labels
    with pytest.raises(DataError, match=r"setting dtype=torch\.float64"):
        loss_fn(batch, network().double())
    loss, _ = loss_fn.double()(batch, network().double())
    assert loss.dtype == torch.float64


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in PARTS for name in PARTS[kind]])
def test_every_part_is_made_by_name(kind: str, name: str) -> None:
    part = get_part(kind, {"name": name, **NEEDED.get(name, {})})
    assert type(part) is PARTS[kind][name]
    assert get_part(kind, part) is part


def test_an_unknown_kind_of_part() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'miner'"):
        get_part("miners", "hdc")


def test_options_of_parts_reach_the_library() -> None:
    given = {"name": "pair_margin", "pos_margin": 0.9, "distance": {"name": "lp", "p": 1}}
    miner: Any = get_part("miner", given)
    assert miner.pos_margin == 0.9
    assert miner.distance.p == 1
    reducer: Any = get_part("reducer", {"name": "class_weighted", "weights": [1.0, 2.0]})
    assert reducer.weights.tolist() == [1, 2]
    for weights in ((1.0, 2.0), np.array([1.0, 2.0]), torch.tensor([1.0, 2.0])):
        reducer = get_part("reducer", {"name": "class_weighted", "weights": weights})
        assert reducer.weights.tolist() == [1, 2]
    distance: Any = get_part("distance", {"name": "lp", "p": float("inf")})
    assert distance.p == float("inf")


def test_precision_at_1_is_that_of_neighbours() -> None:
    points = torch.tensor([[1.0, 0.0], [2.0, 0.1], [0.0, 1.0], [0.1, 3.0], [1.0, 0.9]])
    assert precision_at_1(points, torch.tensor([0, 0, 1, 1, 1])) == pytest.approx(0.8)
    with pytest.raises(ShapeError, match=r"\(2,\)"):
        precision_at_1(points, torch.tensor([0, 1]))
    with pytest.raises(DataError, match="1 samples"):
        precision_at_1(points[:1], torch.tensor([0]))
    with pytest.raises(DataError, match=r"torch\.int64"):
        precision_at_1(points.long(), torch.tensor([0, 0, 1, 1, 1]))
    with pytest.raises(DataError, match="ndarray"):
        precision_at_1(points.numpy(), torch.tensor([0, 0, 1, 1, 1]))  # type: ignore[arg-type]


def test_precision_at_1_is_that_of_scikit_learn() -> None:
    from sklearn.neighbors import NearestNeighbors

    points, labels = torch.randn(1500, 4), torch.randint(3, (1500,))
    search = NearestNeighbors(n_neighbors=1, metric="cosine").fit(points.numpy())
    nearest = torch.as_tensor(search.kneighbors(return_distance=False)[:, 0])
    expected = (labels[nearest] == labels).double().mean().item()
    assert precision_at_1(points, labels) == pytest.approx(expected, abs=2e-3)
