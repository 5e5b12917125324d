from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from perceptrain_core.checkpoints.file import read_file, write_file
from perceptrain_core.checkpoints.snapshot import snapshot

from ..shared import noisy_net, same


def test_copy_is_equal_and_does_not_change_with_the_original() -> None:
    state = {"a": [torch.ones(3), (torch.zeros(2), {"b": torch.arange(4)})], "n": [1, 2.5, "c"]}
    copied = snapshot(state)
    assert same(copied, state)
    state["a"][0].add_(1)  # type: ignore[union-attr]
    state["a"][1][1]["b"].zero_()  # type: ignore[index]
    state["n"].append(None)
    assert copied["a"][0].tolist() == [1, 1, 1]
    assert copied["a"][1][1]["b"].tolist() == [0, 1, 2, 3]
    assert copied["n"] == [1, 2.5, "c"]


def test_every_kind_of_tensor() -> None:
    base = torch.arange(24.0).reshape(4, 6)
    state = {
        "view": base[1:, ::2],
        "transposed": base.T,
        "empty": torch.empty(0, 3),
        "scalar": torch.tensor(2.5),
        "graph": nn.Parameter(torch.ones(2)) * 2,
        "conjugate": torch.complex(base, base).conj(),
        "half": base.bfloat16(),
        "text": torch.tensor([True, False]),
    }
    copied = snapshot(state)
    for name, tensor in state.items():
        assert torch.equal(copied[name], tensor), name
        assert copied[name].dtype == tensor.dtype
        assert not copied[name].requires_grad
    sparse = torch.eye(3).to_sparse()
    assert torch.equal(snapshot({"s": sparse})["s"].to_dense(), torch.eye(3))


def test_memory_that_is_shared_stays_shared(tmp_path: Path) -> None:
    weights = torch.randn(1000)
    state = {"a": weights, "b": weights.detach(), "c": weights[500:]}
    copied = snapshot(state)
    assert copied["a"].data_ptr() == copied["b"].data_ptr() != weights.data_ptr()
    assert copied["c"].data_ptr() == copied["a"][500:].data_ptr()
    sizes = [write_file(tmp_path / "a.pt", each).stat().st_size for each in (state, copied)]
    assert sizes[0] == sizes[1] < 6000


def test_versions_of_a_model_are_kept() -> None:
    state = noisy_net().state_dict()
    copied = snapshot({"model": state})["model"]
    assert type(copied) is OrderedDict
    assert copied._metadata == state._metadata  # type: ignore[attr-defined]
    assert same(dict(copied), dict(state))


def test_other_values_are_copied(tmp_path: Path) -> None:
    state = {"number": np.float64(1.5), "many": np.arange(3)}
    copied = snapshot(state)
    state["many"][0] = 9  # type: ignore[index]
    assert copied["number"] == 1.5
    assert copied["many"].tolist() == [0, 1, 2]
    path = write_file(tmp_path / "a.pt", {"number": copied["number"]})
    assert read_file(path)["number"] == 1.5
