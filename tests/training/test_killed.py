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
    "accumulated",
    "averaged",
    "r3",
    "generative",
    "lbfgs",
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


def test_killed_many_times(kill_often: Kill, tmp_path: Path) -> None:
    whole = kill_often("plain", tmp_path / "whole", kills=0)
    assert not whole["failed"]
    seed = int.from_bytes(os.urandom(4))
    told = kill_often("plain", tmp_path / "killed", kills=16, seed=seed)
    where = f"The moments of the kills are those of seed {seed}; {told}"
    assert not told["failed"], where
    assert told["killed"] >= 8, where
    assert told["in a write"] >= 1, where
    assert told["left over"] <= 1, where  # that of the one before is gone
    assert not [*(tmp_path / "killed").rglob(".checkpoint*")], where
    assert differences(final(tmp_path / "whole"), final(tmp_path / "killed")) == [], where


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("seed", [1])
def test_whatever_is_trained(kill_often: Kill, tmp_path: Path, variant: str, seed: int) -> None:
    whole = kill_often(variant, tmp_path / "whole", kills=0)
    told = kill_often(variant, tmp_path / "killed", kills=5, seed=seed)
    assert not whole["failed"]
    assert not told["failed"]
    assert told["killed"] >= 3, told
    assert differences(final(tmp_path / "whole"), final(tmp_path / "killed")) == [], told
