"""Every loss by name against the library, and in training."""

from __future__ import annotations

import copy
import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_metric_learning import distances, losses, miners, reducers, regularizers
from torch import Tensor, nn

from perceptrain import TrainConfig, Trainer, get_loss, registry
from perceptrain.testing import check_loss
from perceptrain_metric_learning import EmbeddingLoss, ProxyLoss

CLASSES, SIZE = 4, 5
PROXIES = {"num_classes": CLASSES, "embedding_size": SIZE}

LIBRARY: dict[str, Any] = {
    "triplet": losses.TripletMarginLoss,
    "contrastive": losses.ContrastiveLoss,
    "nt_xent": losses.NTXentLoss,
    "supcon": losses.SupConLoss,
    "multi_similarity": losses.MultiSimilarityLoss,
    "circle": losses.CircleLoss,
    "arcface": losses.ArcFaceLoss,
    "cosface": losses.CosFaceLoss,
    "sub_center_arcface": losses.SubCenterArcFaceLoss,
    "proxy_anchor": losses.ProxyAnchorLoss,
    "proxy_nca": losses.ProxyNCALoss,
    "normalized_softmax": losses.NormalizedSoftmaxLoss,
    "soft_triple": losses.SoftTripleLoss,
}
WITH_PROXIES = list(LIBRARY)[6:]

#: Options other than the defaults, by which a mix-up of two would be seen.
OTHERS: dict[str, dict[str, Any]] = {
    "triplet": {"margin": 0.3, "swap": True, "smooth_loss": True},
    "contrastive": {"pos_margin": 0.1, "neg_margin": 1.3},
    "nt_xent": {"temperature": 0.4},
    "supcon": {"temperature": 0.3},
    "multi_similarity": {"alpha": 3, "beta": 20, "base": 0.4},
    "circle": {"m": 0.25, "gamma": 16},
    "arcface": {"margin": 20, "scale": 8},
    "cosface": {"margin": 0.2, "scale": 8},
    "sub_center_arcface": {"margin": 20, "scale": 8, "sub_centers": 2},
    "proxy_anchor": {"margin": 0.2, "alpha": 8},
    "proxy_nca": {"softmax_scale": 3},
    "normalized_softmax": {"temperature": 0.2},
    "soft_triple": {"centers_per_class": 3, "la": 8, "gamma": 0.3, "margin": 0.2},
}

MINERS = {
    "multi_similarity": miners.MultiSimilarityMiner,
    "batch_hard": miners.BatchHardMiner,
    "triplet_margin": miners.TripletMarginMiner,
    "pair_margin": miners.PairMarginMiner,
}

names = pytest.mark.parametrize("name", LIBRARY)


def options(name: str) -> dict[str, Any]:
    """What the loss cannot be made without."""
    return PROXIES if name in WITH_PROXIES else {}


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, SIZE))


def data(size: int = 24) -> tuple[Tensor, Tensor]:
    """Clouds that overlap, one for each class."""
    torch.manual_seed(2)
    labels = torch.arange(size) % CLASSES
    return torch.randn(CLASSES, 6)[labels] + 0.5 * torch.randn(size, 6), labels


def twins(name: str, own: dict[str, Any], given: dict[str, Any]) -> tuple[nn.Module, nn.Module]:
    """Ours and the library's, with the same proxies."""
    torch.manual_seed(3)
    loss_fn = get_loss(name, **options(name), **own)
    torch.manual_seed(3)
    return loss_fn, LIBRARY[name](**options(name), **given)  # type: ignore[return-value]


def compare(loss_fn: Any, library: nn.Module, miner: Any = None) -> dict[str, Any]:
    """Compare value and gradients, and give the metrics."""
    inputs, labels = data()
    first, second = network(), network()
    loss, metrics = loss_fn((inputs, labels), first)
    embeddings = second(inputs)
    expected = library(embeddings, labels, None if miner is None else miner(embeddings, labels))
    loss.backward()
    expected.backward()
    assert loss.item() > 0
    torch.testing.assert_close(loss, expected)
    ours = [*first.parameters(), *loss_fn.criterion.parameters()]
    theirs = [*second.parameters(), *library.parameters()]
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own.grad, other.grad)
    return metrics


@names
def test_value_and_gradients_are_those_of_the_library(name: str) -> None:
    compare(*twins(name, {}, {}))
    compare(*twins(name, OTHERS[name], OTHERS[name]))


@names
@pytest.mark.parametrize("miner", MINERS)
def test_a_miner_by_name_is_that_of_the_library(name: str, miner: str) -> None:
    metrics = compare(*twins(name, {"miner": miner}, {}), MINERS[miner]())
    triplets = "mined_triplets" in metrics
    assert triplets == (miner in ("batch_hard", "triplet_margin"))
    assert triplets or {"mined_positive_pairs", "mined_negative_pairs"} <= set(metrics)


@names
def test_regularizers_are_those_of_the_library(name: str) -> None:
    given = {"embedding_regularizer": regularizers.LpRegularizer(), "embedding_reg_weight": 0.1}
    own = {"embedding_regularizer": "lp", "embedding_reg_weight": 0.1}
    if name in WITH_PROXIES:
        given |= {"weight_regularizer": regularizers.RegularFaceRegularizer()}
        own |= {"weight_regularizer": "regular_face"}
    metrics = compare(*twins(name, own, given))
    assert name != "triplet" or metrics["active_triplets"] > 0


def test_distance_and_reducer_are_those_of_the_library() -> None:
    own = {"distance": {"name": "lp", "p": 1, "power": 2}, "reducer": "mean"}
    given = {"distance": distances.LpDistance(p=1, power=2), "reducer": reducers.MeanReducer()}
    for name in ("triplet", "contrastive", "nt_xent", "proxy_nca"):
        compare(*twins(name, own, given))


def test_other_losses_of_the_library_get_the_contract_from_the_bases() -> None:
    check_loss(EmbeddingLoss(losses.LiftedStructureLoss, {"pos_margin": 0.1}), data(), network())
    check_loss(ProxyLoss(losses.CosFaceLoss, {"scale": 16}, **PROXIES), data(), network())


def test_a_reducer_of_ones_own_needs_no_counts() -> None:
    own = reducers.MultipleReducers({"pos_loss": reducers.SumReducer()})
    compare(*twins("contrastive", {"reducer": own}, {"reducer": copy.deepcopy(own)}))
    counted = {"name": "threshold", "low": 0.1, "collect_stats": True}
    _, metrics = get_loss("triplet", margin=0.5, reducer=counted)(data(), network())
    assert metrics["active_triplets"] > 0


@names
def test_the_options_and_defaults_are_those_of_the_library(name: str) -> None:
    signature = registry(refresh=True).losses[name].signature()
    theirs: dict[str, Any] = {}
    for base in LIBRARY[name].__mro__:
        if "__init__" in vars(base) and base.__module__.startswith("pytorch_metric_learning"):
            theirs |= {
                k: v for k, v in inspect.signature(base).parameters.items() if k not in theirs
            }
    ignored = {"args", "kwargs", "collect_stats", "mat_based_loss"}
    own = {"miner", "gather"}
    assert set(signature.parameters) == ({*theirs} | own) - ignored
    for option, parameter in signature.parameters.items():
        if option not in own:
            assert parameter.default == theirs[option].default, option


@names
@pytest.mark.parametrize("miner", [None, "multi_similarity"])
def test_the_contract_is_kept(name: str, miner: str | None) -> None:
    check_loss(get_loss(name, **options(name), miner=miner), data(), network())


def test_the_contract_is_kept_by_random_triplets() -> None:
    check_loss(get_loss("triplet", margin=0.5, triplets_per_anchor=3), data(), network())


def fit(name: str, epochs: int, folder: Path, **settings: Any) -> Trainer:
    torch.manual_seed(0)
    config = TrainConfig(
        max_iter=epochs, batch_size=16, verbose=False, root_folder=folder, **settings
    )
    loss = {"name": name, **options(name)}
    return Trainer(network(), {"name": "adam", "lr": 0.01}, config, loss_fn=loss)


@pytest.mark.slow
@names
def test_it_is_trained_by_name(name: str, tmp_path: Path) -> None:
    trainer = fit(name, 12, tmp_path, tracking_tool="none", val_every=1)
    start = copy.deepcopy(trainer.loss_fn)
    trainer.fit(data(64), data(64))
    first, last = trainer.history[0], trainer.history[-1]
    # That of contrastive is the mean of what is not yet 0, so it falls slowly.
    assert last["train_loss"] < 0.95 * first["train_loss"]
    assert last["val_loss"] < 0.95 * first["val_loss"]
    before, after = dict(start.named_parameters()), dict(trainer.loss_fn.named_parameters())
    assert bool(after) == (name in WITH_PROXIES)
    assert all(not torch.equal(before[key], after[key]) for key in after)


@pytest.mark.parametrize("name", WITH_PROXIES)
def test_a_resumed_run_ends_like_one_that_was_never_stopped(name: str, tmp_path: Path) -> None:
    whole = fit(name, 4, tmp_path / "whole", checkpoint_every=2)
    whole.fit(data())
    fit(name, 2, tmp_path / "parts", checkpoint_every=2).fit(data())
    (folder,) = {path.parent for path in (tmp_path / "parts").rglob("*.pt")}
    parts = fit(name, 4, tmp_path / "parts", checkpoint_every=2)
    parts.fit(data(), resume=folder)
    for first, second in zip(states(whole), states(parts), strict=True):
        assert torch.equal(first, second)


def states(trainer: Trainer) -> list[Tensor]:
    modules: Any = (trainer.model, trainer.loss_fn)
    return [value for module in modules for value in module.state_dict().values()]


def test_the_metrics_count_what_acts() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    points = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], requires_grad=True)
    batch, model = (points, labels), nn.Identity()
    _, metrics = get_loss("triplet", margin=0.1)(batch, model)
    assert metrics == {"active_triplets": 4}  # those of the last two, which are 2 apart
    _, metrics = get_loss("contrastive", neg_margin=1.0)(batch, model)
    assert metrics == {"active_positive_pairs": 2, "active_negative_pairs": 0}
    _, metrics = get_loss("triplet", miner={"name": "triplet_margin", "margin": 0.1})(batch, model)
    assert metrics == {"mined_triplets": 4, "active_triplets": 4}


@pytest.mark.parametrize("name", WITH_PROXIES)
def test_accuracy_counts_the_nearest_class(name: str) -> None:
    loss_fn: Any = get_loss(name, num_classes=3, embedding_size=3)
    (parameter,) = loss_fn.parameters()
    with torch.no_grad():
        each = parameter.numel() // 9
        axes = torch.eye(3).repeat_interleave(each, 0)
        parameter.copy_(axes if parameter.shape == axes.shape else axes.T)
    batch = (5 * torch.eye(3)[[0, 1, 2, 2]]).requires_grad_(), torch.tensor([0, 1, 2, 0])
    loss, metrics = loss_fn(batch, nn.Identity())
    assert metrics["accuracy"] == pytest.approx(0.75)
    loss.backward()
    assert parameter.grad.isfinite().all()
    assert batch[0].grad.isfinite().all()


@pytest.mark.parametrize("name", ["arcface", "sub_center_arcface"])
def test_a_sample_at_its_centre_has_the_value_of_the_library_and_a_finite_gradient(
    name: str,
) -> None:
    loss_fn, library = twins(name, {"scale": 4}, {"scale": 4})
    (centres,) = library.parameters()
    labels = torch.arange(CLASSES)
    points = centres.detach().T[:: len(centres.T) // CLASSES].clone().requires_grad_()
    loss, metrics = loss_fn((points, labels), nn.Identity())
    torch.testing.assert_close(loss, library(points, labels), rtol=1e-3, atol=0)
    loss.backward()
    assert points.grad.isfinite().all()
    assert metrics["accuracy"] == 1


@names
def test_a_batch_without_pairs_gives_a_gradient(name: str) -> None:
    model = network()
    loss, _ = get_loss(name, **options(name))((torch.randn(1, 6), torch.tensor([1])), model)
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@names
def test_it_is_computed_in_float32_under_autocast(name: str) -> None:
    loss_fn: Any = get_loss(name, **options(name))
    dtypes = [p.dtype for p in loss_fn.parameters()]
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = loss_fn(data(), network())
    assert loss.dtype == torch.float32
    assert [p.dtype for p in loss_fn.parameters()] == dtypes


def test_integer_labels_of_any_size_are_taken() -> None:
    inputs, labels = data()
    for name in ("supcon", "proxy_anchor"):
        loss_fn = get_loss(name, **options(name))
        first, _ = loss_fn((inputs, labels), network())
        second, _ = loss_fn((inputs, labels.to(torch.uint8)), network())
        assert first == second
