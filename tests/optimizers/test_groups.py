"""Groups of parameters by name, kind of module and shape, against groups made by hand."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import AdamW, Muon, Optimizer

from perceptrain import TrainConfig, Trainer
from perceptrain.errors import OptionError, TrainingError
from perceptrain.optimizers import CombinedOptimizer, parameter_groups
from perceptrain_core.optimizers.build import build_optimizer

GROUPS = [
    {"match": "*.bias", "weight_decay": 0.0},
    {"modules": ["LayerNorm"], "weight_decay": 0.0},
    {"match": "head.*", "lr": 1e-2},
]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 4), nn.LayerNorm(4), nn.Tanh(), nn.Linear(4, 4))
        self.head = nn.Linear(4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


def named(model: nn.Module, groups: list[dict[str, Any]]) -> list[set[str]]:
    names = {id(p): name for name, p in model.named_parameters()}
    return [{names[id(p)] for p in group["params"]} for group in groups]


def data() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(12, 2, generator=generator)
    return x, x.sum(dim=1, keepdim=True).sin()


def trained(model: nn.Module, optimizer: Any, epochs: int = 5, **settings: Any) -> Trainer:
    config = TrainConfig(max_iter=epochs, batch_size=5, seed=3, verbose=False, **settings)
    trainer = Trainer(model, optimizer, config, train_dataloader=data())
    trainer.fit(resume=bool(settings.get("resume")))
    return trainer


def assert_same(one: nn.Module, other: nn.Module) -> None:
    for name, parameter in one.state_dict().items():
        assert torch.equal(parameter, other.state_dict()[name]), name


def assert_same_optimizer(one: Optimizer, other: Optimizer) -> None:
    first, second = one.state_dict(), other.state_dict()
    assert first["param_groups"] == second["param_groups"]
    assert first["state"].keys() == second["state"].keys()
    for key, values in first["state"].items():
        for name, value in values.items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(second["state"][key][name]))


# Which parameters a group gets


def test_each_parameter_is_in_the_first_group_that_fits(net: Net) -> None:
    groups = parameter_groups(net, GROUPS)
    assert named(net, groups) == [
        {"body.0.bias", "body.1.bias", "body.3.bias", "head.bias"},
        {"body.1.weight"},
        {"head.weight"},
        {"body.0.weight", "body.3.weight"},
    ]
    assert [{k: v for k, v in g.items() if k != "params"} for g in groups] == [
        {"weight_decay": 0.0},
        {"weight_decay": 0.0},
        {"lr": 1e-2},
        {},
    ]


def test_all_keys_must_fit_and_one_of_a_list(net: Net) -> None:
    group = {"match": ["body.*", "nothing_else*", "head.*"][::2], "ndim": 1, "modules": "Linear"}
    first, rest = named(net, parameter_groups(net, [group]))
    assert first == {"body.0.bias", "body.3.bias", "head.bias"}
    assert rest == {"body.0.weight", "body.1.weight", "body.1.bias", "body.3.weight", "head.weight"}


def test_a_class_counts_for_its_subclasses_and_submodules(net: Net) -> None:
    class Special(nn.Linear):
        pass

    model = nn.Sequential(Special(2, 3), nn.Sequential(nn.Linear(3, 1)))
    assert len(parameter_groups(model, [{"modules": "Linear"}])) == 1
    (first, _) = parameter_groups(model, [{"modules": "Special"}])
    assert first["params"] == list(model[0].parameters())
    (first, _) = parameter_groups(net, [{"modules": "Sequential"}])
    assert first["params"] == list(net.body.parameters())


def test_a_shared_parameter_has_both_names_and_one_group() -> None:
    model = nn.ModuleDict({"embedding": nn.Embedding(5, 3), "head": nn.Linear(3, 5)})
    model["head"].weight = model["embedding"].weight
    first, rest = parameter_groups(model, [{"match": "head.weight"}])
    assert first["params"] == [model["embedding"].weight]
    assert rest["params"] == [model["head"].bias]


def test_groups_with_all_parameters_leave_no_rest(net: Net) -> None:
    assert len(parameter_groups(net, [{"match": "*"}])) == 1


# What they train


def test_groups_by_name_train_as_groups_by_hand(net: Net) -> None:
    twin = copy.deepcopy(net)
    by_hand = AdamW(
        [
            {"params": [m.bias for m in (net.body[0], net.body[1], net.body[3], net.head)]}
            | {"weight_decay": 0.0},
            {"params": [net.body[1].weight], "weight_decay": 0.0},
            {"params": [net.head.weight], "lr": 1e-2},
            {"params": [net.body[0].weight, net.body[3].weight]},
        ],
        lr=1e-3,
        weight_decay=0.5,
        fused=False,  # the same bits
    )
    options = {"lr": 1e-3, "weight_decay": 0.5, "fused": False, "groups": GROUPS}
    named_one = trained(twin, {"name": "adamw", **options})
    trained(net, by_hand)
    assert_same(net, twin)
    assert_same_optimizer(by_hand, named_one.optimizer)
    assert named_one.provenance["optimizer"]["name"] == "perceptrain-core/adamw"


MUON = {
    "name": "adamw",
    "lr": 1e-3,
    "groups": [
        {"match": "head.*"},
        {"match": "body.*", "ndim": 2, "optimizer": "muon", "lr": 2e-2, "weight_decay": 0.0},
        {"modules": "LayerNorm", "weight_decay": 0.0},
    ],
}


def muon_by_hand(net: Net) -> tuple[AdamW, Muon]:
    adamw = AdamW(
        [
            {"params": list(net.head.parameters())},
            {"params": list(net.body[1].parameters()), "weight_decay": 0.0},
            {"params": [net.body[0].bias, net.body[3].bias]},
        ],
        lr=1e-3,
    )
    return adamw, Muon([net.body[0].weight, net.body[3].weight], lr=2e-2, weight_decay=0.0)


def test_muon_for_matrices_and_adamw_for_the_rest_are_two_optimizers(net: Net) -> None:
    twin = copy.deepcopy(net)
    rates = []
    optimizers = muon_by_hand(net)
    for _ in range(6):
        for optimizer in optimizers:
            optimizer.zero_grad()
        (net(data()[0]) - data()[1]).square().mean().backward()
        for optimizer in optimizers:
            optimizer.step()
            for group in optimizer.param_groups:
                group["lr"] *= 0.5
        rates = [g["lr"] for optimizer in optimizers for g in optimizer.param_groups]
    config = TrainConfig(
        max_iter=6, batch_size=12, shuffle=False, verbose=False,
        lr_scheduler={"name": "exponential", "gamma": 0.5},
    )  # fmt: skip
    trainer = Trainer(twin, MUON, config, train_dataloader=data())
    trainer.fit()
    for one, other in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=0)
    groups = trainer.optimizer.param_groups
    assert [group["optimizer"] for group in groups] == ["adamw"] * 3 + ["muon"]
    assert [group["lr"] for group in groups] == pytest.approx(rates)
    assert trainer.provenance["optimizer.optimizers.muon"]["name"] == "perceptrain-core/muon"


@pytest.mark.parametrize("optimizer", [MUON, {"name": "adamw", "groups": GROUPS}])
def test_a_resumed_run_is_bit_identical(net: Net, tmp_path: Any, optimizer: Any) -> None:
    settings = {"checkpoint_every": 1, "lr_scheduler": {"name": "step", "step_size": 2}}
    twin = copy.deepcopy(net)
    whole = trained(net, optimizer, root_folder=tmp_path / "whole", **settings)
    trained(copy.deepcopy(twin), optimizer, 2, root_folder=tmp_path / "parts", **settings)
    rest = trained(twin, optimizer, root_folder=tmp_path / "parts", resume=True, **settings)
    assert rest.history == whole.history
    assert_same(net, twin)
    assert_same_optimizer(whole.optimizer, rest.optimizer)


def test_a_combined_optimizer_can_be_copied(net: Net) -> None:
    optimizer = build_optimizer(MUON, net)
    trained(net, optimizer, 2)
    twin, other = copy.deepcopy((net, optimizer))
    assert_same_optimizer(optimizer, other)
    trained(net, optimizer, 2)
    trained(twin, other, 2)
    assert_same(net, twin)


def test_the_parameters_of_a_loss_go_to_the_first_optimizer(net: Net) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, batch: Any, model: nn.Module) -> Any:
            return (model(batch[0]) - self.scale * batch[1]).square().mean(), {}

    loss = Scaled()
    config = TrainConfig(max_iter=1, batch_size=12, verbose=False)
    trainer = Trainer(net, MUON, config, loss, train_dataloader=data())
    assert trainer.optimizer.param_groups[-1]["optimizer"] == "adamw"
    trainer.fit()
    assert abs(loss.scale.item() - 1) == pytest.approx(1e-3, rel=0.1)


def test_a_closure_is_called_once_a_step(net: Net) -> None:
    optimizer = CombinedOptimizer(dict(zip("ab", muon_by_hand(net), strict=True)))
    calls = []

    def closure() -> torch.Tensor:
        calls.append(1)
        optimizer.zero_grad()
        loss = net(data()[0]).square().mean()
        loss.backward()
        return loss

    with torch.no_grad():
        assert optimizer.step(closure) > 0
    assert calls == [1]


# Faults


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([{"match": "haed.*"}], r"groups\[0\]\.match: 'haed\.\*' matches no .* has head\."),
        ([{"match": ["head.*", "x"]}], r"'x' matches no parameter .* which has body\.0\.weight, "),
        ([{"modules": "LayerNrom"}], r"groups\[0\]\.modules: 'LayerNrom' .* has LayerNorm\."),
        ([{"ndim": 4}], r"4 is the ndim of no parameter of the model, which has 1, 2"),
        ([{"match": "head.*", "ndim": 1}, {"match": "head.bias"}], r"groups\[1\].*earlier groups"),
        ([{"modules": "LayerNorm", "ndim": 2}], "fits no parameter: all of its keys"),
        ([{"weight_decay": 0}], r"groups\[0\] is .*at least one of the keys match, modules, ndim"),
        (["*.bias"], r"groups\[0\] is '\*\.bias'; expected a mapping"),
        ({"match": "*"}, "expected a list of mappings"),
        ([{"match": 3}], r"groups\[0\]\.match is 3; expected a text"),
        ([{"ndim": True}], "expected a whole number"),
        ([{"match": "head.*", "weight_decy": 0}], "weight_decy.*Did you mean 'weight_decay'"),
        ([{"match": "head.*", "optimizer": "mun"}], "Did you mean 'muon'"),
        ([{"match": "head.*", "optimizer": "muon"}], "only supports 2D"),
        ([{"ndim": [1, 2], "optimizer": "sgd"}], "none is left for 'adamw'"),
        ([{"match": "head.*", "lr": -1}], "Invalid learning rate: -1"),
    ],
)
def test_faults_of_groups(net: Net, groups: Any, message: str) -> None:
    with pytest.raises((OptionError, ValueError, KeyError), match=message):
        build_optimizer({"name": "adamw", "groups": groups}, net)


def test_optimizers_that_need_all_parameters(net: Net) -> None:
    with pytest.raises(TrainingError, match="LBFGS evaluates the loss several times a step"):
        build_optimizer(
            {"name": "adam", "groups": [{"match": "head.*", "optimizer": "lbfgs"}]}, net
        )
    with pytest.raises(OptionError, match="doesn't support per-parameter options"):
        build_optimizer({"name": "lbfgs", "groups": [{"match": "head.*"}]}, net)
    with pytest.raises(TrainingError, match=r"more than one parameter group|some parameters"):
        CombinedOptimizer({"a": AdamW(net.parameters()), "b": AdamW(net.parameters())})
    with pytest.raises(TrainingError, match="got no optimizers"):
        CombinedOptimizer({})
    with pytest.raises(TrainingError, match="'a' is of type int"):
        CombinedOptimizer({"a": 3})  # type: ignore[dict-item]


def test_a_search_has_no_groups(net: Net) -> None:
    pytest.importorskip("nevergrad")
    with pytest.raises(OptionError, match="'de' is a search"):
        build_optimizer({"name": "de", "groups": [{"match": "head.*"}]}, net)
