"""One of several processes that save sharded checkpoints until they are killed.

Its arguments are the folder of the checkpoints, a file where the processes find each other, whether
a thread writes, and the last epoch. It resumes from the newest checkpoint, and prints each epoch.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

from perceptrain_core.checkpoints.folder import checkpoint_path, list_checkpoints
from perceptrain_core.checkpoints.sharded import read_sharded
from perceptrain_core.checkpoints.writer import CheckpointWriter

ROWS, COLUMNS = 301, 400


def main(folder: Path, store: str, background: bool, last: int) -> None:
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=size)
    mesh = init_device_mesh("cpu", (size,))
    weights = distribute_tensor(torch.zeros(ROWS, COLUMNS), mesh, [Shard(0)])
    first = 1
    if found := list_checkpoints(folder):
        state = read_sharded(found[0], like={"model": {"weights": weights}})
        assert (weights.to_local() == state["epoch"]).all()
        first = state["epoch"] + 1
    with CheckpointWriter(background) as writer:
        for epoch in range(first, last + 1):
            weights.to_local().fill_(epoch)  # also while a thread writes the copy before it
            state = {"epoch": epoch, "model": {"weights": weights}, "size": size}
            writer.write(checkpoint_path(folder, epoch), state, keep=2)
            print(epoch, flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "background", int(sys.argv[4]))
