"""A program in a forked process, which forks the processes that it starts: all start at once.

A `ForkServer` runs this file as a script, with the arguments of an interpreter for a program that
starts processes: ``torchrun``, or a run in several processes. The variable NAMESPACE names the
network namespace to be in, as on another machine.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from socket import AF_UNIX, SOCK_SEQPACKET, socketpair
from typing import Any

from torch.distributed.elastic.multiprocessing.subprocess_handler import SubprocessHandler

sys.path.insert(0, str(Path(__file__).parents[1]))

from perceptrain_core.engine.worker import START
from tests.forked import ForkServer, interpret, serve


class OwnServer(ForkServer):
    """A fork of this process, taken before it has threads and connections."""

    def __init__(self) -> None:
        self._socket, theirs = socketpair(AF_UNIX, SOCK_SEQPACKET)
        if os.fork() == 0:
            self._socket.close()
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            serve(theirs)
            os._exit(0)
        theirs.close()


def popen(handler: Any, command: tuple[str, ...], env: dict[str, str]) -> Any:
    """Start what ``torchrun`` or ``run_in_processes`` asks for."""
    if command[:4] == (sys.executable, "-P", "-c", START):
        return server.start_worker(START, *command[4:], env=env)
    assert command[:2] == (sys.executable, "-u")
    return server.start_beside(*command[2:], env=env)


if "NAMESPACE" in os.environ:
    with open(f"/var/run/netns/{os.environ['NAMESPACE']}") as namespace:
        assert ctypes.CDLL(None).setns(namespace.fileno(), 0) == 0
server = OwnServer()
SubprocessHandler._popen = popen  # type: ignore[assignment, method-assign]
interpret(*sys.argv[1:])
