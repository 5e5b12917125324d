"""All errors that Perceptrain raises on purpose.

Every message says what was given, what was expected, and what to do::

    PerceptrainError
    |-- ConfigError (ValueError)              a TrainConfig or run file that cannot be
    |-- RegistryError
    |   |-- UnknownNameError (KeyError)       no such loss, model, ...
    |   |-- AmbiguousNameError (KeyError)     one short name, two plugins
    |   |-- InvalidSpecError (ValueError)     a name or target that cannot be registered
    |   |-- OptionError (TypeError)           an option that the target does not take
    |   |-- TargetError (ImportError)         the target cannot be imported, or does not fit
    |   `-- PluginSelectionError (ValueError) PERCEPTRAIN_PLUGINS names nothing known
    |-- LossContractError (TypeError)         a loss returned something else than the contract
    |-- NonFiniteLossError (ArithmeticError)  the loss is NaN or infinite
    |-- ShapeError (ValueError)               tensors that would broadcast silently, or not fit
    |-- DataError (ValueError)                data or loaders that cannot be trained on
    |-- CallbackError (TypeError)             a callback that does not fit
    |-- TrainingError (RuntimeError)          a model, optimizer or call that cannot work
    |-- MissingDependencyError (ImportError)  an extra is not installed
    |-- ConformanceError (AssertionError)     a plugin or a loss fails the conformance checks
    `-- CheckpointError (RuntimeError)        a checkpoint that cannot be written or read
"""

from __future__ import annotations


class PerceptrainError(Exception):
    """The root of all errors raised on purpose."""

    def __str__(self) -> str:
        # KeyError shows the repr of its argument, which turns line ends into "\n".
        return str(self.args[0]) if len(self.args) == 1 else super().__str__()


class ConfigError(PerceptrainError, ValueError):
    """A configuration that cannot be; the message lists every fault at once."""


class RegistryError(PerceptrainError):
    """Something about names and plugins."""


class UnknownNameError(RegistryError, KeyError):
    """Nothing of this kind has the name."""


class AmbiguousNameError(RegistryError, KeyError):
    """Several plugins have the short name; the message lists the qualified ones."""


class InvalidSpecError(RegistryError, ValueError):
    """A name or a target that cannot be registered."""


class OptionError(RegistryError, TypeError):
    """An option that the target does not take, or one that it needs and was not given."""


class TargetError(RegistryError, ImportError):
    """The target of a name cannot be imported, or is not what its kind asks for."""


class PluginSelectionError(RegistryError, ValueError):
    """``PERCEPTRAIN_PLUGINS`` has an entry that matches no installed plugin."""


class LossContractError(PerceptrainError, TypeError):
    """A loss returned something else than ``(loss, metrics)``."""


class NonFiniteLossError(PerceptrainError, ArithmeticError):
    """The loss is NaN or infinite."""


class ShapeError(PerceptrainError, ValueError):
    """Tensors whose shapes do not fit each other; the message shows them."""


class DataError(PerceptrainError, ValueError):
    """Data, batches or loaders that cannot be trained on."""


class CallbackError(PerceptrainError, TypeError):
    """A callback that does not fit where it was given."""


class TrainingError(PerceptrainError, RuntimeError):
    """A model, an optimizer or a call that cannot work together."""


class MissingDependencyError(PerceptrainError, ImportError):
    """An optional package is needed; the message names the extra that brings it."""


class ConformanceError(PerceptrainError, AssertionError):
    """A plugin or a loss does not keep the contract; the message lists every fault."""


class CheckpointError(PerceptrainError, RuntimeError):
    """A checkpoint that cannot be written or read."""
