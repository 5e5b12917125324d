from __future__ import annotations

import importlib
import os
import random

import pytest

from perceptrain_core.registry import Registry, discovery
from perceptrain_core.registry.discovery import find_sources

from .conftest import Site, losses

GOOD = "[perceptrain]\nmain = mod\n"


def found(*sites):
    return [
        (s.distribution, s.version, s.module, s.error)
        for s in find_sources([site.root for site in sites], ())
    ]


def test_distributions_of_other_things_are_left_alone(site):
    site.distribution("plain")
    site.distribution("script", entry_points="[console_scripts]\nperceptrain = x:y\n")
    site.distribution("cousin", entry_points="[perceptrain.more]\nmain = mod\n")
    assert found(site) == []


def test_another_package_with_the_same_module_is_reported(site):
    site.distribution("perceptrain", "0.1.0")
    site.distribution("mine", entry_points=GOOD)
    with pytest.warns(UserWarning, match="pip uninstall perceptrain perceptrain-core"):
        assert found(site) == [("mine", "1.0", "mod", None)]


def test_names_are_normalized_and_values_cleaned(site):
    site.distribution("My.Plug_In", entry_points="[perceptrain]\nmain = mod.sub : hooks [extra]\n")
    assert found(site) == [("my-plug-in", "1.0", "mod.sub:hooks", None)]


def test_sorted_by_distribution_then_entry_point(site):
    site.distribution("zeta", entry_points=GOOD)
    site.distribution("alpha", entry_points="[perceptrain]\nb = two\na = one\n")
    assert [(s.distribution, s.name) for s in find_sources([site.root], ())] == [
        ("alpha", "a"),
        ("alpha", "b"),
        ("zeta", "main"),
    ]


def test_one_seen_twice_counts_once(site, tmp_path):
    other = Site(tmp_path / "other")
    for place in (site, other):
        place.distribution("twice", entry_points=GOOD)
    assert found(site, other, site) == [("twice", "1.0", "mod", None)]


def test_the_first_on_the_path_shadows_the_others(site, tmp_path):
    other = Site(tmp_path / "other")
    site.distribution("same", "1.0", entry_points=GOOD)
    other.distribution("same", "2.0", entry_points=GOOD)
    assert found(site, other) == [("same", "1.0", "mod", None)]
    assert found(other, site) == [("same", "2.0", "mod", None)]


def test_one_that_is_shadowed_by_a_version_without_hooks_does_not_count(site, tmp_path):
    other = Site(tmp_path / "other")
    site.distribution("same", "2.0")
    other.distribution("same", "1.0", entry_points=GOOD)
    assert found(site, other) == []


def test_two_versions_in_one_folder_are_one_whatever_the_order(site, monkeypatch):
    for version in ("1.9", "1.10", "1.10rc1"):
        site.distribution("same", version, entry_points=GOOD)
    listdir = os.listdir
    for reverse in (False, True):
        monkeypatch.setattr(os, "listdir", lambda path, r=reverse: sorted(listdir(path), reverse=r))
        importlib.invalidate_caches()
        assert found(site) == [("same", "1.10", "mod", None)]


def test_what_a_failed_uninstall_left_does_not_matter(site):
    site.distribution("same", "1.0", entry_points=GOOD, metadata=None)
    site.distribution("same", "2.0", entry_points=GOOD)
    assert found(site) == [("same", "2.0", "mod", None)]


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        (None, "broken metadata: LookupError: no Name in METADATA"),
        ("Version: 1.0\n", "broken metadata: LookupError: no Name in METADATA"),
        ("Version: 1.0\n\nName: in-the-body\n", "broken metadata: LookupError: no Name"),
        ("Name: odd\n", "broken metadata: LookupError: no Version in METADATA"),
    ],
)
def test_broken_metadata_of_a_plugin_is_its_error(site, metadata, reason):
    site.distribution("odd", entry_points=GOOD, metadata=metadata)
    site.distribution("well", entry_points=GOOD)
    odd, well = found(site)
    assert odd[0] == "odd"
    assert odd[3].startswith(reason)
    assert well == ("well", "1.0", "mod", None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[perceptrain]\nno equals sign\n", "its entry_points.txt is malformed"),
        ("[perceptrain]\nmain = not-a-module\n", "'main = not-a-module' is malformed"),
        ("[perceptrain]\nmain = \n", "'main = ' is malformed"),
        ("[perceptrain]\nmain = a:b:c\n", "'main = a:b:c' is malformed"),
        (b"[perceptrain]\nmain = \xff\xfe\n", "its entry_points.txt is malformed (UnicodeDecode"),
    ],
)
def test_malformed_entry_points_are_the_error_of_their_plugin(site, text, reason):
    site.distribution("odd", entry_points=text)
    site.distribution("well", entry_points=GOOD)
    odd, well = found(site)
    assert odd[0] == "odd"
    assert reason in odd[3]
    assert well[0] == "well"


def test_one_malformed_entry_point_leaves_the_others_of_its_distribution(site):
    site.distribution("odd", entry_points="[perceptrain]\nbad = a-b\ngood = mod\n")
    assert [source.error is None for source in find_sources([site.root], ())] == [False, True]


def test_broken_metadata_elsewhere_does_not_matter(site):
    site.distribution("empty", metadata=None)
    site.distribution("nameless", metadata="")
    site.distribution("latin", entry_points=b"[console_scripts]\nx = \xff\n")
    site.distribution("lines", entry_points="[console_scripts]\nno equals sign\n")
    (site.root / "file-1.0.dist-info").write_text("a file where a folder should be")
    (site.root / "loop-1.0.dist-info").symlink_to(site.root / "loop-1.0.dist-info")
    site.distribution("well", entry_points=GOOD)
    assert found(site) == [("well", "1.0", "mod", None)]


def test_folders_that_are_not_there_do_not_matter(site, tmp_path):
    site.distribution("well", entry_points=GOOD)
    assert len(find_sources([tmp_path / "missing", "", site.root], ())) == 1


@pytest.mark.parametrize("name", ["perceptrain-core", "Perceptrain.Core", "local"])
def test_reserved_names(site, name):
    site.distribution(name, entry_points=GOOD)
    plugin = site.registry().plugins[1]
    assert plugin.status == "failed"
    assert "is reserved: rename the distribution" in plugin.error


def test_the_working_directory_is_not_searched(site, monkeypatch):
    site.plugin("stray", losses("stray"))
    monkeypatch.chdir(site.root)
    monkeypatch.setattr("sys.path", ["", "/nowhere"])
    assert "stray" not in Registry(environ={}).losses


def test_the_order_does_not_depend_on_the_file_system(site, monkeypatch):
    names = [f"plug{i}" for i in range(12)]
    for name in names:
        site.plugin(name, losses("shared", name))
    listdir, seen = os.listdir, set()
    for seed in range(5):
        order = random.Random(seed)
        monkeypatch.setattr(
            os, "listdir", lambda path, o=order: o.sample(listdir(path), len(listdir(path)))
        )
        importlib.invalidate_caches()
        registry = site.registry()
        seen.add((*(p.distribution for p in registry.plugins), *registry.losses))
    assert len(seen) == 1


def test_the_first_on_the_path_counts_though_its_folder_has_another_name(site, tmp_path):
    other = Site(tmp_path / "other")
    site.distribution("odd", "2.0", entry_points="[perceptrain]\nmain = odd\n")
    first = other.distribution("odd", "1.0", entry_points="[perceptrain]\nmain = odd\n")
    first.rename(first.with_name("another-1.0.dist-info"))
    assert [version for _, version, *_ in found(other, site)] == ["1.0"]


def test_metadata_in_another_encoding_and_entry_points_twice(site):
    info = site.distribution("andre", entry_points="[perceptrain]\na = andre\na = andre\n")
    head = b"\xef\xbb\xbfName: andre\nVersion: 3.0\nAuthor: Andr\xe9\n\n\xff"
    (info / "METADATA").write_bytes(head)
    assert found(site) == [("andre", "3.0", "andre", None)]


def test_requirements_survive_broken_metadata(site):
    site.distribution(
        "needy",
        metadata="Metadata-Version: 2.1\nName: needy\nVersion: 1.0\nRequires-Dist: hollow\n"
        "Requires-Dist: whole>=2\nRequires-Dist: pytest; extra == 'test'\n",
    )
    site.distribution("hollow", metadata=None)
    site.distribution("whole", "2.5")
    discovery.requirements.cache_clear()
    assert discovery.requirements("needy") == {"whole": "2.5"}


def test_the_other_package_of_the_name_is_named_with_the_cure(site):
    site.plugin("well", losses("well"))
    site.distribution("perceptrain", "0.1.0")
    with pytest.warns(UserWarning, match="Another package, 'perceptrain', is installed") as caught:
        list(site.registry().losses)
    assert str(caught[0].message).endswith(
        "Run 'pip uninstall perceptrain perceptrain-core', then 'pip install perceptrain-core'. "
        "Scripts written for 'perceptrain' run with 'perceptrain-core' too."
    )
