"""Runs a tool and says what it cost; medians."""

import dataclasses
import json
import os
import pathlib
import signal
import statistics
import subprocess
import threading
import time

MB = 1_000_000


@dataclasses.dataclass
class Command:
    argv: list[str]
    env: dict[str, str] = dataclasses.field(default_factory=dict)
    good_exits: tuple[int, ...] = (0,)


@dataclasses.dataclass
class Run:
    """One measured run of a tool: one process, or several side by side (then CPU and memory are sums)."""

    wall: float = 0.0         # seconds, from the first start to the last end
    cpu: float = 0.0          # seconds, user + system, children included
    peak_octets: int = 0      # resident, plus unmapped tmpfs files where they were watched
    error: str = ""
    round_trips: float | None = None  # on the slower side, where the lines counted


class Launcher:
    """Starts commands through bench_launch and ends them when the benchmark ends early."""

    def __init__(self, program: pathlib.Path):
        self._program = program
        self._running: set[subprocess.Popen] = set()
        self._lock = threading.Lock()

    def run(self, commands: list[Command], folder: pathlib.Path, *, watch: bool = False, timeout: float = 900) -> Run:
        folder.mkdir(parents=True, exist_ok=True)
        begin = time.monotonic()
        started = [self._start(command, folder, index, watch) for index, command in enumerate(commands)]
        run = Run()
        for command, (process, result, log) in zip(commands, started):
            self._wait(process, max(1.0, timeout - (time.monotonic() - begin)))
            self._add(run, command, result, log)
        together = time.monotonic() - begin
        if len(commands) > 1:
            run.wall = together
        return run

    def _start(self, command: Command, folder: pathlib.Path, index: int, watch: bool):
        result, log = folder / f"result{index}.json", folder / f"output{index}.log"
        result.unlink(missing_ok=True)
        argv = [str(self._program), *(["--watch"] if watch else []), str(result), *command.argv]
        with open(log, "wb") as out:
            process = subprocess.Popen(argv, env={**os.environ, **command.env}, stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=subprocess.STDOUT, cwd=folder)
        with self._lock:
            self._running.add(process)
        return process, result, log

    def _wait(self, process: subprocess.Popen, timeout: float) -> None:
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
            process.wait()
        with self._lock:
            self._running.discard(process)

    def _add(self, run: Run, command: Command, result: pathlib.Path, log: pathlib.Path) -> None:
        try:
            said = json.loads(result.read_text())
        except (OSError, ValueError):
            run.error = run.error or "the launcher left no result"
            return
        run.wall = max(run.wall, said["wall"])
        run.cpu += said["user"] + said["system"]
        run.peak_octets += said["maxrss_octets"] + said["tmpfs_octets"]
        if said["signal"] or said["exit"] not in command.good_exits:
            how = f"signal {said['signal']}" if said["signal"] else f"exit {said['exit']}"
            run.error = run.error or f"{how}: {_end_of(log)}"

    def stop(self) -> None:
        with self._lock:
            running = list(self._running)
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait()


def _end_of(log: pathlib.Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return " / ".join(lines[-2:])[-300:]


@dataclasses.dataclass
class Series:
    """All runs of one tool in one row."""

    runs: list[Run] = dataclasses.field(default_factory=list)

    @property
    def error(self) -> str:
        return next((run.error for run in self.runs if run.error), "")

    @property
    def ok(self) -> bool:
        return bool(self.runs) and not self.error

    @property
    def wall(self) -> float:
        return statistics.median(run.wall for run in self.runs)

    @property
    def cpu(self) -> float:
        return statistics.median(run.cpu for run in self.runs)

    @property
    def peak_octets(self) -> int:
        return max(run.peak_octets for run in self.runs)

    @property
    def round_trips(self) -> float | None:
        counted = [run.round_trips for run in self.runs if run.round_trips is not None]
        return statistics.median(counted) if counted else None
