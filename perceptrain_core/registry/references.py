"""References, ``"package.module:attribute"`` and ``"./file.py:attribute"``, and how they load."""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

from perceptrain_core.errors import PerceptrainError, TargetError
from perceptrain_core.registry.messages import did_you_mean, one_line


def load_reference(reference: str, base: str | os.PathLike[str] | None = None) -> object:
    """Import the object that a reference names.

    Args:
        reference: ``"package.module:attribute"`` or ``"./file.py:attribute"``; the attribute
            may be dotted.
        base: The folder to which the path of a file is relative; by default the working
            directory.

    Returns:
        The object.

    Raises:
        TargetError: The reference is malformed, there is no such module, file or attribute, or
            running the module failed (then the failure is the cause).
    """
    where, _, attribute = reference.rpartition(":")
    if not where or not all(part.isidentifier() for part in attribute.split(".")):
        raise TargetError(
            f"{reference!r} is not a reference: write 'package.module:attribute' or "
            "'./file.py:attribute'."
        )
    folder = Path(base or "")
    if _names_file(where):
        module = _load_file(reference, folder / Path(where).expanduser())
    else:
        module = _load_module(reference, where, attribute, folder)
    return _attribute(reference, module, attribute)


def loaded_files() -> list[ModuleType]:
    """Return the modules loaded from files by a reference.

    Other processes cannot import these by name.
    """
    modules = list(sys.modules.values())
    specs = [getattr(module, "__spec__", None) for module in modules]
    loaders = [getattr(spec, "loader", None) for spec in specs]
    return [m for m, each in zip(modules, loaders, strict=True) if isinstance(each, _FreshLoader)]


def _names_file(where: str) -> bool:
    return where.endswith(".py") or "/" in where or os.sep in where


def _load_module(reference: str, name: str, attribute: str, folder: Path) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise TargetError(f"{reference!r}: {name!r} is not the name of a module.")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # The module itself or a package above it is missing; anything else is missing inside.
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _failure(reference, error) from error
        file = Path(*name.split(".")).with_suffix(".py")
        hint = ""
        if (folder / file).is_file():
            hint = f" For the file {file}, write './{file.as_posix()}:{attribute}'."
        raise TargetError(
            f"{reference!r}: there is no module {error.name!r}. Install what provides it, "
            f"or correct the name.{hint}"
        ) from error
    except (PerceptrainError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise _failure(reference, error) from error


def _load_file(reference: str, path: Path) -> ModuleType:
    path = path.resolve()
    if not path.is_file():
        raise TargetError(f"{reference!r}: the file {path} does not exist.")
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
    # pickle and inspect find the module of a function by its name.
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
    """Compiles the source each time.

    Cached bytecode records the time of its source in whole seconds, so a file edited and loaded
    twice within a second would run its old code. It would also leave files in the user's folder.
    """

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self.get_data(self.path), self.path)
        return code


def _attribute(reference: str, module: ModuleType, attribute: str) -> object:
    found: object = module
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            where = getattr(found, "__name__", type(found).__name__)
            raise TargetError(
                f"{reference!r}: {where} has no attribute {part!r}."
                f"{did_you_mean(part, (name for name in dir(found) if name[0] != '_'))}"
            ) from error
        except PerceptrainError:
            raise
        except Exception as error:  # a module that imports its attributes lazily
            raise _failure(reference, error) from error
    return found


def _failure(reference: str, error: BaseException) -> TargetError:
    return TargetError(f"{reference!r} cannot be imported: {one_line(error)}")
