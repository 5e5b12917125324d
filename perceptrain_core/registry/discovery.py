"""Discovery of installed plugins; the only module that reads the metadata of distributions."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

import importlib_metadata

from perceptrain_core.registry.messages import one_line
from perceptrain_core.registry.plugins import Source
from perceptrain_core.registry.selection import normalized
from perceptrain_core.user_warnings import warn_user

if TYPE_CHECKING:
    from importlib_metadata import Distribution

GROUP = "perceptrain"
_END_OF_NAME = re.compile(r"[^A-Za-z0-9._-]")  # of a requirement, "torch>=2.6"
_EXTRA = re.compile(r";.*\bextra\b")
_SECTION = f"[{GROUP}]"
_OTHER_PACKAGE = "perceptrain"  # it installs files of its own into our folder of that name


def find_sources(
    path: Sequence[str | os.PathLike[str]] | None, reserved: Collection[str]
) -> list[Source]:
    """Find the installed plugins, without importing them.

    Args:
        path: The folders to search; by default those of ``sys.path``, without the working
            directory that an interactive session puts there as ``""``.
        reserved: Names that a distribution must not have.

    Returns:
        One source for each entry point, sorted by distribution and name. If a distribution is
        broken, the ``error`` of its source says why.
    """
    # For a missing path, such as the standard library's zip, importlib_metadata imports zipfile.
    folders = [os.fspath(f) for f in (sys.path if path is None else path) if os.path.exists(f)]
    requirements.cache_clear()
    installed = list(importlib_metadata.distributions(path=folders))
    named, broken = _by_name(installed)
    same_folder_name = _by_folder_name(installed)
    if _OTHER_PACKAGE in same_folder_name:
        warn_user(
            "Another package, 'perceptrain', is installed beside 'perceptrain-core'. Both have a "
            "module 'perceptrain', so the later one has replaced files of the earlier. Run "
            "'pip uninstall perceptrain perceptrain-core', then 'pip install perceptrain-core'. "
            "Scripts written for 'perceptrain' run with 'perceptrain-core' too."
        )
    position = {distribution: number for number, distribution in enumerate(installed)}
    sources: dict[str, list[Source]] = {}
    for name, own in named.items():
        try:
            candidates = {*own, *same_folder_name.get(name, ())}
            owner, version = _owner(sorted(candidates, key=position.__getitem__))
            sources[name] = list(_read(name, owner, version, reserved))
        except Exception as error:
            broken.append(_broken(own[0], error))
    # A failed uninstall may leave a broken folder beside a good one, so report only the others.
    result = [source for group in sources.values() for source in group]
    result += {s.distribution: s for s in broken if s.distribution not in sources}.values()
    return sorted(result, key=lambda source: (source.distribution, source.name))


@functools.cache
def requirements(distribution: str) -> Mapping[str, str]:
    """Return the installed versions of the requirements of a distribution, without extras.

    Args:
        distribution: Its name. If it is not installed, the result is empty.

    Returns:
        The version of each installed requirement, by name.
    """
    versions = {}
    # Recording versions must not stop a run, and metadata may be broken in many ways.
    with contextlib.suppress(Exception):
        for line in importlib_metadata.requires(distribution) or ():
            name = normalized(_END_OF_NAME.split(line)[0])
            if not _EXTRA.search(line):
                with contextlib.suppress(Exception):
                    versions[name] = importlib_metadata.version(name)
    return versions


def _has_group(distribution: Distribution) -> bool:
    """Whether a distribution may be a plugin; reads only one small file."""
    try:
        return _SECTION in (distribution.read_text("entry_points.txt") or "")
    except UnicodeDecodeError as error:
        return _SECTION.encode() in error.object
    except OSError:
        return False


def _by_name(
    installed: Iterable[Distribution],
) -> tuple[dict[str, list[Distribution]], list[Source]]:
    """Return possible plugins by name, and a failed source for each whose name is unreadable."""
    named: dict[str, list[Distribution]] = {}
    broken: list[Source] = []
    for distribution in installed:
        try:
            if _has_group(distribution):
                name = normalized(_metadata(distribution, "Name"))
                named.setdefault(name, []).append(distribution)
        except Exception as error:
            broken.append(_broken(distribution, error))
    return named, broken


def _by_folder_name(installed: Iterable[Distribution]) -> dict[str, list[Distribution]]:
    """Return distributions by the first part of their folder, ``NAME-VERSION.dist-info``."""
    by_name: dict[str, list[Distribution]] = {}
    for distribution in installed:
        stem, _, _ = PurePath(str(distribution)).stem.partition("-")
        by_name.setdefault(normalized(stem), []).append(distribution)
    return by_name


def _owner(candidates: list[Distribution]) -> tuple[Distribution, str]:
    """Return the distribution that an import would use, the first on the path, and its version."""
    versions: dict[Distribution, str] = {}
    for distribution in candidates:
        with contextlib.suppress(LookupError, OSError):
            versions[distribution] = _metadata(distribution, "Version")
    if not versions:
        raise LookupError("no Version in METADATA")
    owner, *others = versions
    if others:
        # Of several versions in one folder, take the newest: folders are listed in any order.
        folder = str(owner.locate_file(""))
        same_folder = [d for d in versions if str(d.locate_file("")) == folder]
        owner = max(same_folder, key=lambda distribution: _order(versions[distribution]))
    return owner, versions[owner]


def _order(version: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts 1.10 after 1.9, and 1.0 after 1.0rc1."""
    parts = re.findall(r"\d+|[a-z]+", version.lower())
    return [(2, int(p), "") if p.isdecimal() else (0, 0, p) for p in parts] + [(1, 0, "")]


def _read(
    name: str, distribution: Distribution, version: str, reserved: Collection[str]
) -> Iterator[Source]:
    if name in reserved:
        yield Source(name, version, error=f"the name {name!r} is reserved: rename the distribution")
        return
    try:
        points = dict.fromkeys(p for p in distribution.entry_points if p.group == GROUP)
    except Exception as error:
        reason = f"its entry_points.txt is malformed ({one_line(error)})"
        yield Source(name, version, error=reason)
        return
    for point in points:
        try:
            module = f"{point.module}:{point.attr}" if point.attr else point.module
            yield Source(name, version, point.name, module)
        except ValueError:
            reason = (
                f"the entry point '{point.name} = {point.value}' is malformed: "
                "expected 'package.module'"
            )
            yield Source(name, version, point.name, point.value, error=reason)


def _broken(distribution: Distribution, error: Exception) -> Source:
    stem = PurePath(str(distribution)).stem
    name, _, version = stem.partition("-")
    return Source(normalized(name), version or None, error=f"broken metadata: {one_line(error)}")


def _metadata(distribution: Distribution, field: str) -> str:
    """Read one field of METADATA, without the email parser, which takes 15 ms to import."""
    # The fields end at the first empty line; a long README may follow.
    head, _, _ = _text(distribution).partition("\n\n")
    for line in head.splitlines():
        key, _, value = line.partition(":")
        if key.strip().lower() == field.lower() and value.strip():
            return value.strip()
    raise LookupError(f"no {field} in METADATA")


def _text(distribution: Distribution) -> str:
    try:
        text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    except UnicodeDecodeError as error:  # usually in the README, which is not used here
        text = error.object.decode(errors="replace")
    return text.removeprefix("\ufeff")
