"""Processes that start at once, forked from a server that has imported torch and the trainer.

A fresh interpreter needs seconds for that. A forked process is a real one all the same: it has its
own working directory, environment, search path, output and exit code, and takes signals. Tests of
what a process imports, or of how it starts, use ``subprocess`` instead.

Run as a script, this file is the server. It listens on a socket, whose number is its argument.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from select import select
from socket import AF_UNIX, SHUT_RDWR, SOCK_SEQPACKET, recv_fds, send_fds, socket, socketpair
from types import ModuleType, SimpleNamespace, TracebackType
from typing import Any, BinaryIO, NoReturn

PRELOADED = (
    "torch._dynamo",  # the first optimizer imports it
    "matplotlib.figure",
    "perceptrain",
    "perceptrain_core.analysis.curves",
    "perceptrain_core.callbacks",
    "perceptrain_core.checkpoints.sharded",
    "perceptrain_core.cli.main",
    "perceptrain_core.comparisons.pool",
    "perceptrain_core.losses",
    "perceptrain_core.models",
    "perceptrain_core.runs.run",
    "perceptrain_core.testing",
    "perceptrain_core.training",
    "perceptrain_core.weightings",
    "sklearn.datasets",
    "sklearn.model_selection",
)
# The parent of a forked process is the one that watches it.
WORKER = "import os, sys; sys.argv[2] = str(os.getppid())\n"


class ForkServer:
    """Starts processes with the arguments of a Python interpreter: ``-m``, ``-c``, or a file."""

    paused = False

    def __init__(self) -> None:
        self._socket, theirs = socketpair(AF_UNIX, SOCK_SEQPACKET)
        command = [sys.executable, __file__, str(theirs.fileno())]
        self._server = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        theirs.close()

    def close(self) -> None:
        self._socket.shutdown(SHUT_RDWR)  # forks of this process may have it open, too
        self._socket.close()
        self._server.wait()

    def start(
        self, *args: str, cwd: str | Path | None = None, env: Mapping[str, str] | None = None
    ) -> ForkedProcess:
        """Start a process, as ``subprocess.Popen([sys.executable, *args])`` does."""
        ours, theirs = zip(*(os.pipe() for _ in range(3)), strict=True)
        self._wish(args, cwd, env, theirs)
        for number in theirs:
            os.close(number)
        return ForkedProcess(*ours)

    def start_worker(self, code: str, *args: str, env: Mapping[str, str]) -> ForkedProcess:
        """Start a process of ``run_in_processes``."""
        return self.start_beside("-c", WORKER + code, *args, env=env)

    def start_beside(self, *args: str, env: Mapping[str, str]) -> ForkedProcess:
        """Start a process with a session of its own, which prints where this process does."""
        status, theirs = os.pipe()
        self._wish(args, None, env, (1, 2, theirs), session=True)
        os.close(theirs)
        nothing = [os.open(os.devnull, os.O_RDONLY) for _ in range(2)]
        process = ForkedProcess(*nothing, status)
        process.stdout.close()
        process.stderr.close()
        return process

    def start_job_worker(
        self, command: Sequence[str], env: Mapping[str, str], **options: Any
    ) -> ForkedProcess:
        """Start a process that trains the runs of a comparison, as its pool calls ``Popen``."""
        assert command[:2] == [sys.executable, "-m"]
        assert options.pop("start_new_session")
        (requests, asked), (replied, replies), (status, theirs) = (os.pipe() for _ in range(3))
        self._wish(command[1:], None, env, (replies, 2, theirs, requests), session=True)
        for number in (requests, replies, theirs):
            os.close(number)
        process = ForkedProcess(replied, os.open(os.devnull, os.O_RDONLY), status)
        process.stderr.close()
        process.stdin = open(asked, "wb")  # noqa: SIM115
        return process

    def _wish(
        self,
        args: Sequence[str],
        cwd: str | Path | None,
        env: Mapping[str, str] | None,
        files: Sequence[int],
        session: bool = False,
    ) -> None:
        wish = {"args": args, "cwd": str(cwd or Path.cwd()), "env": dict(env or os.environ)}
        send_fds(self._socket, [json.dumps(wish | {"session": session}).encode()], files)

    def run(
        self, *args: str, cwd: str | Path | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a process to its end, as ``subprocess.run`` with captured text does."""
        with self.start(*args, cwd=cwd, env=env) as process:
            out, err = process.communicate()
        return subprocess.CompletedProcess(args, process.wait(), out, err)


class ForkedProcess:
    """What tests use of ``subprocess.Popen``."""

    returncode: int | None = None
    stdin: BinaryIO

    def __init__(self, out: int, err: int, status: int) -> None:
        self.stdout, self.stderr, self._status = open(out), open(err), open(status)  # noqa: SIM115
        self.pid = int(self._status.readline())

    def __enter__(self) -> ForkedProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        self.wait()
        self.stdout.close()
        self.stderr.close()

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        with ThreadPoolExecutor() as pool:
            texts = [pool.submit(file.read) for file in (self.stdout, self.stderr)]
            try:
                out, err = (text.result(timeout) for text in texts)
            except TimeoutError:
                self.kill()
                raise
        self.stdout.close()
        self.stderr.close()
        self.wait()
        return out, err

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("a forked process", timeout or 0)
            with self._status:
                self.returncode = os.waitstatus_to_exitcode(int(self._status.readline()))
        return self.returncode

    def poll(self) -> int | None:
        if self.returncode is None and select([self._status], [], [], 0)[0]:
            return self.wait()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkedJobs:
    """Forks a process that trains the runs of a comparison: what its pool uses of ``Popen``."""

    returncode: int | None = None

    def __init__(self, command: Sequence[str], env: dict[str, str], **options: Any) -> None:
        assert command[:2] == [sys.executable, "-m"]
        assert options.pop("start_new_session")
        (requests, asked), (replied, replies) = os.pipe(), os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            os.dup2(requests, 0)
            os.dup2(replies, 1)
            os.closerange(3, 256)  # also what leads to other processes, which wait for its end
            sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
            _live(command[1:], str(Path.cwd()), env, session=True)
        os.close(requests)
        os.close(replies)
        self.stdin, self.stdout = open(asked, "wb"), open(replied, "rb")  # noqa: SIM115

    def wait(self) -> int:
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)


def serve(line: socket) -> None:
    """Fork for each wish that comes, until the other end closes."""
    for name in PRELOADED:
        __import__(name)
    # As in the tests themselves: which kernels of an optimizer pay depends on the threads.
    sys.modules["torch"].set_num_threads(1)
    # As there, too: only a loss of power would show the difference.
    os.fsync = lambda _: None
    jobs = SimpleNamespace(Popen=ForkedJobs, PIPE=subprocess.PIPE)
    vars(sys.modules["perceptrain_core.comparisons.pool"])["subprocess"] = jobs
    while True:
        wish, numbers, *_ = recv_fds(line, 1 << 20, 4)
        if not wish:
            return
        if os.fork() == 0:
            line.close()
            _watch(json.loads(wish), *numbers)
        for number in numbers:
            os.close(number)


def _watch(wish: dict[str, Any], out: int, err: int, status: int, *input: int) -> NoReturn:
    """Fork the process itself, and report its number and then how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    process = os.fork()
    if process == 0:
        os.close(status)
        os.dup2(out, 1)
        os.dup2(err, 2)
        for number in input:
            os.dup2(number, 0)
            sys.stdin = open(0, closefd=False)  # noqa: SIM115
        os.close(out)
        os.close(err)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", 1, errors="backslashreplace", closefd=False)  # noqa: SIM115
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _live(**wish)
    os.close(out)
    os.close(err)
    os.write(status, f"{process}\n".encode())
    # It is collected last, so that a signal to its number finds it until its end is known.
    ended = os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
    assert ended is not None
    exited = ended.si_code == os.CLD_EXITED
    os.write(status, f"{ended.si_status << 8 if exited else ended.si_status}\n".encode())
    os.waitpid(process, 0)
    os._exit(0)


def _live(args: Sequence[str], cwd: str, env: dict[str, str], session: bool) -> NoReturn:
    """Do what an interpreter does that starts with these arguments, folder and environment."""
    if session:
        os.setsid()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.path[:0] = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path]
    code = 1
    try:
        interpret(*args)
        code = 0
    except SystemExit as end:
        code = _exit_code(end.code)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        _flush_and_exit(code)


def interpret(how: str, *args: str) -> None:
    main = sys.modules["__main__"] = ModuleType("__main__")
    if how == "-c":
        sys.argv, sys.path[:0] = ["-c", *args[1:]], [""]
        exec(compile(args[0], "<string>", "exec"), vars(main))
    elif how == "-m":
        sys.argv, sys.path[:0] = [*args], [""]
        sys.modules.pop(args[0], None)
        runpy.run_module(args[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[:0] = [how, *args], [str(Path(how).parent)]
        runpy.run_path(how, run_name="__main__")


def _exit_code(code: Any) -> int:
    if code is None or isinstance(code, int):
        return code or 0
    print(code, file=sys.stderr)
    return 1


def _flush_and_exit(code: int) -> NoReturn:
    threading._shutdown()  # an interpreter waits for its threads, too
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that watch
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    del sys.path[0]
    serve(socket(fileno=int(sys.argv[1])))
