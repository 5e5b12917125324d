"""The base class of optimizers that change how another optimizer steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch.optim import Optimizer

from perceptrain import get_optimizer
from perceptrain.errors import ConfigError
from perceptrain.optimizers import can_be_part


class Around(Optimizer):
    """An optimizer around another one, whose groups and state it shares.

    Args:
        params: The parameters, or groups of them.
        base: The name of the other optimizer, or a mapping with a name and options.
        options: Options of its own, which a group may have, too.

    Raises:
        ConfigError: The other one evaluates the loss itself, as L-BFGS does, or needs no gradients.
        RegistryError: Its name is unknown, or its options do not fit.
    """

    def __init__(
        self, params: Iterable[Any], base: str | Mapping[str, Any], options: dict[str, Any]
    ) -> None:
        built = get_optimizer(base, list(params))
        if not can_be_part(built):
            raise ConfigError(
                f"base={base!r}: {type(built).__name__} evaluates the loss itself; expected an "
                "optimizer that follows the gradient, such as sgd or adamw."
            )
        self.base = built
        super().__init__(built.param_groups, {**built.defaults, **options})
        self._share()

    def _share(self) -> None:
        self.param_groups, self.state = self.base.param_groups, self.base.state

    def train(self) -> None:
        """Switch to the weights to train, if the other one evaluates other weights."""
        if hasattr(self.base, "train"):
            self.base.train()

    def eval(self) -> None:
        """Switch to the weights to evaluate, if the other one evaluates other weights."""
        if hasattr(self.base, "eval"):
            self.base.eval()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the groups and the state, as the other optimizer does."""
        self.base.load_state_dict(state_dict)
        self._share()

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "base": self.base}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        # Others may set new groups and a new state here, which are those of the base.
        self.base.__setstate__({key: state[key] for key in ("state", "param_groups")})
        self._share()
