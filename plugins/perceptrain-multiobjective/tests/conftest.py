"""What every test starts from."""

from __future__ import annotations

import torch

# Networks here are tiny: more threads would only wait for each other.
torch.set_num_threads(1)
