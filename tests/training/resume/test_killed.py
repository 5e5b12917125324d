"""A run that is killed at any moment, and resumed, ends as one that was left alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

pytestmark = pytest.mark.skipif(os.name != "posix", reason="forks and kills as POSIX does")

Kill = Callable[..., dict[str, Any]]
VARIANTS = [
    "own generator",
    "infinite",
    "several loaders",
    "r3",
    "generative",
    "lbfgs",
    "second order",
    "weighted",
]


@pytest.fixture(scope="module")
def kill_often() -> Iterator[Kill]:
    """Ask the process of killed_run.py for a run that is killed so many times."""
    script = Path(__file__).with_name("killed_run.py")
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        to, back = process.stdin, process.stdout

        def ask(variant: str, folder: Path, kills: int, seed: int = 0) -> dict[str, Any]:
            folder.mkdir()
            wish = {"variant": variant, "folder": str(folder), "kills": kills, "seed": seed}
            print(json.dumps(wish), file=to, flush=True)
            told: dict[str, Any] = json.loads(back.readline())
            return told

        yield ask
        to.close()


def final(folder: Path) -> Any:
    return torch.load(folder / "final.pt", weights_only=True)


def differences(a: Any, b: Any, where: str = "") -> list[str]:
    """The places where two states are not the same bit for bit."""
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return [line for key in a for line in differences(a[key], b[key], f"{where}/{key}")]
    if isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        pairs = enumerate(zip(a, b, strict=True))
        return [line for i, pair in pairs for line in differences(*pair, f"{where}/{i}")]
    same = torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b
    return [] if same else [where]


def check(kill_often: Kill, folder: Path, variant: str, kills: int) -> dict[str, Any]:
    """Compare a run that is killed so many times with one that is left alone."""
    seed = int.from_bytes(os.urandom(4))
    whole = kill_often(variant, folder / "whole", kills=0)
    told = kill_often(variant, folder / "killed", kills=kills, seed=seed)
    where = f"the moments of the kills are those of seed {seed}; {told}"
    assert not whole["failed"]
    assert not told["failed"], where
    # On a busy machine, a run may end before the moments that were drawn.
    assert told["killed"] >= kills // 2, where
    assert told["left over"] <= 1, where  # that of the one before is gone
    assert not [*(folder / "killed").rglob(".checkpoint*")], where
    assert differences(final(folder / "whole"), final(folder / "killed")) == [], where
    return told


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["plain", "background"])
def test_killed_many_times(kill_often: Kill, tmp_path: Path, variant: str) -> None:
    """Weights, optimizer, history, counters, callbacks and random numbers: all is the same."""
    assert check(kill_often, tmp_path, variant, kills=10)["in a write"] >= 1


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["plateau", "least squares", "of plugins"])
def test_sequences(kill_often: Kill, tmp_path: Path, variant: str) -> None:
    check(kill_often, tmp_path, variant, kills=3)


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_whatever_is_trained(kill_often: Kill, tmp_path: Path, variant: str) -> None:
    check(kill_often, tmp_path, variant, kills=1)
