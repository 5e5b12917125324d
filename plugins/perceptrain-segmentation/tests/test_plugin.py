"""The plugin as a whole."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from perceptrain.testing import check_plugin


def test_the_plugin_keeps_the_contract() -> None:
    check_plugin("perceptrain-segmentation")


@pytest.mark.slow
def test_the_losses_need_no_optional_package_and_no_network() -> None:
    """MONAI works without the packages that its other parts use."""
    optional = ["matplotlib", "pandas", "sklearn", "skimage", "nibabel", "PIL", "einops", "yaml"]
    script = f"""
import socket, sys
sys.modules.update(dict.fromkeys({json.dumps(optional)}))
socket.socket.connect = None
import torch
torch.set_num_threads(1)
from perceptrain_segmentation import BoundaryLoss, DiceCELoss, HausdorffDTLoss
batch = torch.rand(2, 1, 8, 8), torch.randint(0, 3, (2, 8, 8))
from perceptrain_segmentation import dice_score
assert callable(dice_score)  # no module of that name takes its place
for loss_fn in (BoundaryLoss(), DiceCELoss(), HausdorffDTLoss()):
    assert loss_fn(batch, torch.nn.Conv2d(1, 3, 1))[0].isfinite()
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)
