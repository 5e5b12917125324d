"""The example of a custom loss that people already have, as it stands."""

from __future__ import annotations

from itertools import count

import torch

from perceptrain import FFNN, TrainConfig, Trainer, to_dataloader
from perceptrain.types import TBatch


def test_custom_loss_function() -> None:
    cnt = count()
    criterion = torch.nn.MSELoss()

    def loss_fn_custom(batch: TBatch, model: torch.nn.Module) -> tuple[torch.Tensor, dict]:  # type: ignore[type-arg]
        next(cnt)
        x, y = batch
        out = model(x)
        loss = criterion(out, y)
        return loss, {}

    from torch.optim import Adam

    model = FFNN([1, 8, 1])
    optimizer = Adam(model.parameters(), lr=0.01)
    config = TrainConfig(max_iter=100, print_every=10)

    trainer = Trainer(model=model, optimizer=optimizer, config=config, loss_fn=loss_fn_custom)
    x = torch.linspace(-1, 1, 40).reshape(-1, 1)
    trained, _ = trainer.fit(to_dataloader(x, x.sin(), batch_size=10))
    assert trained is model
    assert next(cnt) == 400
    assert trainer.history[-1]["train_loss"] < 0.01 < trainer.history[0]["train_loss"]
