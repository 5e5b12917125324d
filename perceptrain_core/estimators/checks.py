"""Checks of the parameters of an estimator, which scikit-learn stores as they are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from perceptrain_core.errors import ConfigError
from perceptrain_core.option_checks import choice_faults, number_faults, refuse


def check_parameters(owner: str, params: Mapping[str, Any]) -> None:
    """Check the parameters that no part checks when it is built.

    Args:
        owner: The name of the estimator.
        params: Its parameters.

    Raises:
        ConfigError: A parameter has a wrong value; the message lists all of them.
    """
    faults = [
        *_hidden_faults(params["hidden"]),
        *number_faults({"max_iter": params["max_iter"]}, whole=True, at_least=1),
        *choice_faults({"standardize": params["standardize"]}, (True, False, "inputs")),
        *choice_faults({"early_stopping": params["early_stopping"]}, (True, False)),
        *number_faults({"validation_fraction": params["validation_fraction"]}, above=0, below=1),
        *_callback_faults(params["callbacks"]),
    ]
    train = params["train"]
    if train is not None and not isinstance(train, Mapping):
        expected = "expected a mapping of fields of TrainConfig, such as {'grad_clip': 1.0}"
        faults.append(f"train={train!r:.60}: {expected}")
    refuse(owner, faults)


def seed_of(random_state: Any) -> int:
    """Return a seed that follows from ``random_state``.

    Raises:
        ConfigError: It cannot be a seed.
    """
    try:
        return int(check_random_state(random_state).randint(2**31 - 1))
    except ValueError:
        raise ConfigError(
            f"random_state={random_state!r:.60}: expected a whole number from 0 to 2**32 - 1, a "
            "numpy.random.RandomState or None."
        ) from None


def _hidden_faults(hidden: Any) -> list[str]:
    if isinstance(hidden, Sequence | np.ndarray) and not isinstance(hidden, str | bytes):
        if not any(number_faults({"": size}, whole=True, at_least=1) for size in hidden):
            return []
        return [f"hidden={hidden!r:.60}: expected whole numbers of at least 1, such as (64, 64)"]
    example = hidden if isinstance(hidden, int) else 64
    return [
        f"hidden={hidden!r:.60}: expected a sequence with the size of each hidden layer, such as "
        f"({example},) for one layer"
    ]


def _callback_faults(callbacks: Any) -> list[str]:
    if callbacks is None or (isinstance(callbacks, Sequence) and not isinstance(callbacks, str)):
        return []
    return [f"callbacks={callbacks!r:.60}: expected a list of callbacks"]
