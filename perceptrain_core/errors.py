"""All errors that Perceptrain raises on purpose.

Every message says what was given, what was expected, and what to do::

    PerceptrainError
    |-- ConfigError (ValueError)              an invalid TrainConfig or run file
    |-- RegistryError
    |   |-- UnknownNameError (KeyError)       no loss, model, ... has the name
    |   |-- AmbiguousNameError (KeyError)     one short name, two plugins
    |   |-- InvalidSpecError (ValueError)     an invalid name or target
    |   |-- OptionError (TypeError)           an unknown or missing option
    |   |-- TargetError (ImportError)         the target cannot be imported, or does not fit
    |   `-- PluginSelectionError (ValueError) PERCEPTRAIN_PLUGINS is invalid
    |-- LossContractError (TypeError)         a loss violates the contract
    |-- NonFiniteLossError (ArithmeticError)  the loss is NaN or infinite
    |-- ShapeError (ValueError)               shapes that do not match
    |-- DataError (ValueError)                data or loaders that cannot be used
    |-- CallbackError (TypeError)             an invalid callback
    |-- TrainingError (RuntimeError)          a model, optimizer or call that fails
    |-- MissingDependencyError (ImportError)  an extra is not installed
    |-- ConformanceError (AssertionError)     a plugin or a loss fails the conformance checks
    |-- TrustError (RuntimeError)             a run folder names code, and is not trusted
    |-- ExportError (RuntimeError)            a run that cannot be exported
    |-- CaptureError (RuntimeError)           a step that cannot be captured as a graph
    `-- CheckpointError (RuntimeError)        a checkpoint that cannot be written or read
"""

from __future__ import annotations


class PerceptrainError(Exception):
    """The root of all errors raised on purpose."""

    def __str__(self) -> str:
        # KeyError shows the repr of its argument, which turns line ends into "\n".
        return str(self.args[0]) if len(self.args) == 1 else super().__str__()


class ConfigError(PerceptrainError, ValueError):
    """An invalid configuration; the message lists every fault.

    Attributes:
        part: What it is about, if the message does not say so: the name of a table of a run file.
    """

    part: str = ""


class RegistryError(PerceptrainError):
    """The base class of errors about names and plugins."""


class UnknownNameError(RegistryError, KeyError):
    """Nothing of this kind has the name."""


class AmbiguousNameError(RegistryError, KeyError):
    """Several plugins have the short name; the message lists the qualified ones."""


class InvalidSpecError(RegistryError, ValueError):
    """A name or a target that cannot be registered."""


class OptionError(RegistryError, TypeError):
    """An option that the target does not accept, or a required one that is missing."""


class TargetError(RegistryError, ImportError):
    """The target of a name cannot be imported, or does not fit its kind."""


class PluginSelectionError(RegistryError, ValueError):
    """``PERCEPTRAIN_PLUGINS`` is malformed, or names a plugin that is not installed."""


class LossContractError(PerceptrainError, TypeError):
    """A loss did not return ``(loss, metrics)``."""


class NonFiniteLossError(PerceptrainError, ArithmeticError):
    """The loss is NaN or infinite."""


class ShapeError(PerceptrainError, ValueError):
    """Tensor shapes that do not match; the message shows them."""


class DataError(PerceptrainError, ValueError):
    """Data, batches or loaders that cannot be used for training."""


class CallbackError(PerceptrainError, TypeError):
    """An invalid callback."""


class TrainingError(PerceptrainError, RuntimeError):
    """A model, an optimizer or a call that cannot work together."""


class MissingDependencyError(PerceptrainError, ImportError):
    """An optional package is missing; the message names the extra to install."""


class ConformanceError(PerceptrainError, AssertionError):
    """A plugin or a loss violates the contract; the message lists every fault."""


class TrustError(PerceptrainError, RuntimeError):
    """A run folder names code to import, and ``trust`` is not set."""


class CaptureError(PerceptrainError, RuntimeError):
    """A step cannot be captured as a graph, and ``compile="strict"`` was asked for."""


class ExportError(PerceptrainError, RuntimeError):
    """A trained run that cannot be exported, or whose file would predict something else."""


class CheckpointError(PerceptrainError, RuntimeError):
    """A checkpoint that cannot be written or read."""
