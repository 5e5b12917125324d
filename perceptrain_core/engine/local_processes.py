"""Processes on this machine, connected through the loopback interface only."""

from __future__ import annotations

import os
import signal
import socket
import sys
import uuid
from pathlib import Path

from torch.distributed import TCPStore  # type: ignore[attr-defined]
from torch.distributed.elastic.multiprocessing import (
    DefaultLogsSpecs,
    SignalException,
    SubprocessContext,
)

from perceptrain_core.engine.worker import START

_LOOPBACK = "127.0.0.1"
_POLL = 0.02
# Seconds that processes have to end: after a signal they may save the run, but not after the
# failure of one of them.
_TO_SAVE, _TO_STOP = 30, 5


class LocalProcesses(SubprocessContext):
    """Processes that work on the task in a folder; call ``start``, then `run`.

    torchelastic's agent would add a rendezvous, restarts, and ports that other machines reach.

    Args:
        folder: The folder of the task.
        nprocs: The number of processes.

    Attributes:
        ended: The exit codes of the processes that had ended, by rank, when the others were
            stopped; negative for a signal.
    """

    def __init__(self, folder: Path, nprocs: int) -> None:
        listening = socket.create_server((_LOOPBACK, 0))  # any port that is free
        port = listening.getsockname()[1]
        self._store = TCPStore(
            _LOOPBACK,
            port,
            is_master=True,
            wait_for_workers=False,
            master_listen_fd=listening.detach(),
        )
        command = ("-P", "-c", START, str(folder), str(os.getpid()))
        shared = _shared_variables(nprocs, port)
        super().__init__(
            name="perceptrain",
            entrypoint=sys.executable,
            args=dict.fromkeys(range(nprocs), command),
            envs={rank: shared | _variables(rank) for rank in range(nprocs)},
            logs_specs=DefaultLogsSpecs(log_dir=os.devnull),
        )
        self.ended: dict[int, int] = {}

    def run(self) -> None:
        """Wait until all processes have ended, or one has failed and the others are stopped.

        Raises:
            SignalException: This process got a signal. The others got it too, and have ended.
        """
        try:
            self.wait(period=_POLL)
        except SignalException as error:
            try:
                self.close(error.sigval, _TO_SAVE)
            except SignalException:
                self.close(signal.SIGKILL)
            raise
        finally:
            self.close(signal.SIGKILL)

    def close(self, death_sig: signal.Signals | None = None, timeout: int = _TO_STOP) -> None:
        """Stop the processes that still run.

        Args:
            death_sig: The signal, SIGTERM by default.
            timeout: Seconds after which they are killed.
        """
        if not self.ended:
            codes = {rank: each.proc.poll() for rank, each in self.subprocess_handlers.items()}
            self.ended = {rank: code for rank, code in codes.items() if code is not None}
        super().close(death_sig, timeout)


def _shared_variables(nprocs: int, port: int) -> dict[str, str]:
    """Return the variables that ``torchrun`` sets, and the network interface for Gloo and NCCL."""
    interfaces = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
    libraries = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")
    loopback = {name: interfaces[0] for name in libraries if interfaces}
    return (
        loopback
        | {name: os.environ[name] for name in loopback.keys() & os.environ.keys()}
        | {
            "WORLD_SIZE": str(nprocs),
            "LOCAL_WORLD_SIZE": str(nprocs),
            "GROUP_RANK": "0",
            "MASTER_ADDR": _LOOPBACK,
            "MASTER_PORT": str(port),
            "TORCHELASTIC_USE_AGENT_STORE": "True",
            "TORCHELASTIC_RESTART_COUNT": "0",
            "TORCHELASTIC_MAX_RESTARTS": "0",
            "TORCHELASTIC_RUN_ID": uuid.uuid4().hex,
        }
    )


def _variables(rank: int) -> dict[str, str]:
    return {"RANK": str(rank), "LOCAL_RANK": str(rank)}
