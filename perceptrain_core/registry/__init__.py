"""Names and plugins: from ``"dice_ce"`` to the loss that an installed package offers.

Nothing in this package imports torch.
"""

from perceptrain_core.registry.catalogue import Catalogue
from perceptrain_core.registry.entries import Entry
from perceptrain_core.registry.hookspecs import hookimpl
from perceptrain_core.registry.kinds import KINDS, Kind, kind_of
from perceptrain_core.registry.lazy_exports import lazy_exports
from perceptrain_core.registry.lookup import (
    get_callback,
    get_dataset,
    get_loss,
    get_metric,
    get_model,
    get_optimizer,
    get_tracker,
    get_weighting,
    register_callback,
    register_dataset,
    register_loss,
    register_metric,
    register_model,
    register_optimizer,
    register_tracker,
    register_weighting,
    registry,
)
from perceptrain_core.registry.plugin_registry import Registry
from perceptrain_core.registry.plugins import Plugin
from perceptrain_core.registry.specs import Spec

__all__ = [
    "KINDS",
    "Catalogue",
    "Entry",
    "Kind",
    "Plugin",
    "Registry",
    "Spec",
    "get_callback",
    "get_dataset",
    "get_loss",
    "get_metric",
    "get_model",
    "get_optimizer",
    "get_tracker",
    "get_weighting",
    "hookimpl",
    "kind_of",
    "lazy_exports",
    "register_callback",
    "register_dataset",
    "register_loss",
    "register_metric",
    "register_model",
    "register_optimizer",
    "register_tracker",
    "register_weighting",
    "registry",
]
