"""100 plugins with 1,000 names, some of them contested and some plugins broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ..forked import ForkServer
from .conftest import Site, losses

PLUGINS, EACH = 100, 10
CONTESTED = range(0, 100, 40)  # these plugins offer "shared" too
BROKEN = range(30, 100, 30)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory, forks: ForkServer) -> Site:
    site = Site(tmp_path_factory.mktemp("crowd"), forks)
    for i in range(PLUGINS):
        module = f"crowd_{i:03}"
        names = [f"loss_{i:03}_{k}" for k in range(EACH)]
        names += ["shared"] * (i in CONTESTED) + ["mse"] * (i == 7)
        specs = [f"Spec({n!r}, 'losses_of_{module}:{n}', 'The loss {n}.')" for n in names]
        broken = "import no_such_module\n" if i in BROKEN else ""
        site.plugin(f"crowd-{i:03}", broken + losses(*specs), f"1.{i}")
        code = "".join(
            f"def {n}(batch, model, *, scale: float = {i}.0):\n    'Scaled.'\n" for n in names
        )
        (site.root / f"losses_of_{module}.py").write_text("import torch\n" + code)
    return site


def names(stdout: str) -> list[str]:
    return [row["name"] for row in json.loads(stdout)]


def test_all_that_work_are_listed_once_and_the_contested_by_their_full_names(crowd: Site) -> None:
    done = crowd.run("list-losses", "--json")
    listed = names(done.stdout)
    expected = {f"loss_{i:03}_{k}" for i in range(PLUGINS) if i not in BROKEN for k in range(EACH)}
    expected |= {f"crowd-{i:03}/shared" for i in CONTESTED} | {"crowd-007/mse"}
    assert len(listed) == len(set(listed))
    assert {name for name in listed if name.startswith(("loss_", "crowd-"))} == expected
    assert "mse" in listed
    warnings = done.stderr.splitlines()
    assert len(warnings) == len(BROKEN)
    assert all("No module named 'no_such_module'" in line for line in warnings)


@pytest.mark.slow
def test_filters_find_their_own(crowd: Site) -> None:
    by_glob = crowd.run("list-losses", "loss_04?_3", "--json")
    assert names(by_glob.stdout) == [f"loss_04{i}_3" for i in range(10)]
    by_plugin = crowd.run("list-losses", "--from", "Crowd_042", "--json")
    assert names(by_plugin.stdout) == [f"loss_042_{k}" for k in range(EACH)]
    both = crowd.run("list-losses", "*_7", "--from", "crowd-080", "--json")
    assert names(both.stdout) == ["loss_080_7"]
    contested = crowd.run("list-losses", "shared", "--json")
    assert names(contested.stdout) == [f"crowd-{i:03}/shared" for i in CONTESTED]


@pytest.mark.slow
def test_every_name_of_the_listing_is_accepted(crowd: Site) -> None:
    code = """
import sys
from perceptrain import get_loss, registry
listed = list(registry().losses)
assert 'torch' not in sys.modules
for name in listed[::97] + [name for name in listed if '/' in name]:
    assert registry().losses[name].load() is get_loss(name), name
print(len(listed))
"""
    assert int(crowd.python(code)) > 970


def test_show_imports_that_one_alone(crowd: Site) -> None:
    done = crowd.run("show", "loss", "crowd-080/shared", "--json")
    facts = json.loads(done.stdout)
    assert (facts["distribution"], facts["version"]) == ("crowd-080", "1.80")
    assert facts["options"][0]["default"] == "80.0"
    assert Path(facts["file"]).name == "losses_of_crowd_080.py"
    code = """
import sys
from perceptrain import get_loss
get_loss('loss_023_4')
print(sum(name.startswith('losses_of_') for name in sys.modules))
"""
    assert crowd.forked(code) == "1\n"


@pytest.mark.slow
def test_messages_stay_short(crowd: Site) -> None:
    unknown = crowd.run("show", "loss", "los_023_4")
    assert "Did you mean 'loss_023_4'" in unknown.stderr
    assert "and 9" in unknown.stderr  # of some 990 names, forty are named
    assert len(unknown.stderr) < 3000
    ambiguous = crowd.run("show", "loss", "shared")
    assert "'crowd-000/shared' or 'crowd-040/shared' or 'crowd-080/shared'" in ambiguous.stderr
    blocked = crowd.run("show", "loss", "loss_023_4", PERCEPTRAIN_PLUGINS="")
    assert "is blocked" in blocked.stderr
    assert "more plugins failed or are blocked: run 'perceptrain plugins'" in blocked.stderr
    assert len(blocked.stderr.splitlines()) < 15
    nobody = crowd.run("list-losses", "--from", "crowd-1234")
    assert nobody.returncode == 2
    assert "No plugin 'crowd-1234' is installed. Did you mean" in nobody.stderr
    assert len(nobody.stderr) < 1200


def test_plugins_has_a_line_for_each(crowd: Site) -> None:
    done = crowd.run("plugins")
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("crowd-")]
    assert len(lines) == PLUGINS
    assert sum(line[2] == "failed" for line in lines) == len(BROKEN)
    assert done.returncode == 1
