from __future__ import annotations

import torch
from torch import nn

from perceptrain_core.engine.meta_model import give_memory


def test_modules_that_refer_to_their_parameters_get_memory() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.LSTM(2, 3), nn.Identity())
    before = [*model.parameters()]
    assert give_memory(model, torch.device("cpu"), ())
    after = [*model.parameters()]
    assert all(one is other for one, other in zip(before, after, strict=True))  # an optimizer's too
    values = nn.LSTM(2, 3)
    model[0].load_state_dict(values.state_dict())
    x = torch.ones(4, 2)
    torch.testing.assert_close(model[0](x), values(x))
    assert not give_memory(model, torch.device("cpu"), ())
