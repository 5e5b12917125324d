"""Load references: ``"package.module:attribute"`` and ``"./file.py:attribute"``."""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

from perceptrain_core.errors import PerceptrainError, TargetError, TrustError
from perceptrain_core.registry.messages import failure
from perceptrain_core.suggestions import did_you_mean

_refused: ContextVar[bool] = ContextVar("references are refused", default=False)


@contextmanager
def references_refused() -> Iterator[None]:
    """Import nothing inside but what installed packages register: the names may be a stranger's."""
    token = _refused.set(True)
    try:
        yield
    finally:
        _refused.reset(token)


def load_reference(
    reference: str, base: str | os.PathLike[str] | None = None, *, registered: bool = False
) -> object:
    """Import the object that a reference names.

    Args:
        reference: ``"package.module:attribute"`` or ``"./file.py:attribute"``; the attribute
            may be dotted.
        base: The folder to which the path of a file is relative; by default the working
            directory.
        registered: Whether an installed package registered it.

    Raises:
        TrustError: It is not registered, and references are refused.
        TargetError: The reference is malformed, there is no such module, file or attribute, or
            the module raised an error, which is then the cause.
    """
    if _refused.get() and not registered:
        raise TrustError(
            f"{reference!r} is code to import, and only registered names are used here."
        )
    source, _, attribute = reference.rpartition(":")
    if not source or not all(part.isidentifier() for part in attribute.split(".")):
        raise TargetError(
            f"{reference!r} is not a reference: write 'package.module:attribute' or "
            "'./file.py:attribute'."
        )
    folder = Path(base or "")
    if source.endswith(".py") or "/" in source or os.sep in source:
        module = _load_file(reference, folder / Path(source).expanduser())
    else:
        module = _load_module(reference, source, attribute, folder)
    return _attribute(reference, module, attribute)


def loaded_files() -> list[ModuleType]:
    """Return the modules loaded from files by a reference.

    Other processes cannot import these by name.
    """
    return [
        module
        for module in list(sys.modules.values())
        if isinstance(getattr(getattr(module, "__spec__", None), "loader", None), _FreshLoader)
    ]


def _load_module(reference: str, name: str, attribute: str, folder: Path) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise TargetError(
            f"{reference!r}: expected the name of a module before the colon, not {name!r}."
        )
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Unless the module itself or a package above it is missing, an import inside it failed.
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _failure(reference, error) from error
        file = Path(*name.split(".")).with_suffix(".py")
        hint = ""
        if (folder / file).is_file():
            hint = f" For the file {file}, write './{file.as_posix()}:{attribute}'."
        raise TargetError(
            f"{reference!r}: there is no module {error.name!r}. Install the package that contains "
            f"it, or correct the name.{hint}"
        ) from error
    except (PerceptrainError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise _failure(reference, error) from error


def _load_file(reference: str, path: Path) -> ModuleType:
    path = path.resolve()
    if not path.is_file():
        raise TargetError(f"{reference!r}: the file {path} does not exist: correct the path.")
    stat = path.stat()
    stamp = (stat.st_mtime_ns, stat.st_size)
    name = f"{path.stem}_{hashlib.sha256(os.fsencode(path)).hexdigest()[:12]}"
    known = sys.modules.get(name)
    spec = known.__spec__ if known else None
    if known and spec and spec.loader_state == stamp:
        return known
    try:
        return _run_file(name, path, stamp)
    except (PerceptrainError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise _failure(reference, error) from error


def _run_file(name: str, path: Path, stamp: tuple[int, int]) -> ModuleType:
    loader = _FreshLoader(name, str(path))
    spec = spec_from_file_location(name, path, loader=loader)
    assert spec is not None  # only None without a loader
    spec.loader_state = stamp
    module = module_from_spec(spec)
    before = sys.modules.get(name)
    # pickle and inspect look up the module of a function in sys.modules.
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        raise
    return module


class _FreshLoader(SourceFileLoader):
    """Compiles the source at every load, without cached bytecode.

    The cache records when a file changed in whole seconds, so a file that is edited and loaded
    twice within a second would run its old code. It also leaves files in the user's folder.
    """

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self.get_data(self.path), self.path)
        return code


def _attribute(reference: str, module: ModuleType, attribute: str) -> object:
    value: object = module
    for part in attribute.split("."):
        try:
            value = getattr(value, part)
        except AttributeError as error:
            owner = getattr(value, "__name__", type(value).__name__)
            if value is module and isinstance(getattr(module, "__loader__", None), _FreshLoader):
                owner = Path(str(module.__file__)).name  # its name in sys.modules says nothing
            raise TargetError(
                f"{reference!r}: {owner} has no attribute {part!r}."
                f"{did_you_mean(part, (name for name in dir(value) if name[0] != '_'))}"
            ) from error
        except PerceptrainError:
            raise
        except Exception as error:  # from a module that imports its attributes lazily
            raise _failure(reference, error) from error
    return value


def _failure(reference: str, error: BaseException) -> TargetError:
    return TargetError(f"{reference!r} cannot be imported: {failure(error, reference)}")
