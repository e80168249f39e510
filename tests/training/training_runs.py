"""Training runs in processes of their own, forked at once from a server that has imported everything."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable
from multiprocessing import get_context, set_forkserver_preload, set_start_method
from pathlib import Path

import torch
from safetensors.torch import load_file

from emocapclip_hf.training import parse_arguments, train

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "configs" / "synthfaces-smoke.yaml"


def flags(folder: Path, *more) -> list[str]:
    return ["--config", str(CONFIG), "--output-dir", str(folder), *map(str, more)]


class Run:
    """
    `train(parse_arguments(flags(folder, *more)))` on so many processes.

    Args:
        prepare: called on each process, gives keyword arguments for `train`.
    """

    def __init__(self, folder: Path, *more, processes: int = 1, prepare: Callable[[], dict] = dict):
        # What takes long to import, by a name that the server finds: not all Pythons tell it where tests are.
        set_forkserver_preload(["emocapclip_hf.training.trainer", "training_runs"])
        context = get_context("forkserver")
        folder.parent.mkdir(parents=True, exist_ok=True)
        self.outputs = [folder.with_name(f"{folder.name}.{rank}.txt") for rank in range(processes)]
        port = free_port()
        self.processes = [
            context.Process(
                target=_process, args=(rank, processes, port, output, flags(folder, *more), prepare), daemon=False
            )
            for rank, output in enumerate(self.outputs)
        ]
        self.folder = folder
        for process in self.processes:
            process.start()

    def wait(self, timeout: float = 400) -> list[int | None]:
        """The exit statuses, in the order of ranks."""
        end = time.monotonic() + timeout
        for process in self.processes:
            process.join(max(0.0, end - time.monotonic()))
        statuses = [process.exitcode for process in self.processes]
        self.send(signal.SIGKILL)
        return statuses

    def finish(self) -> None:
        statuses = self.wait()
        assert statuses == [0] * len(statuses), self.said

    def send(self, number: int, rank: int | None = None) -> None:
        for process in self.processes if rank is None else [self.processes[rank]]:
            if process.is_alive():
                os.kill(process.pid, number)

    def wait_for_step(self, step: int, timeout: float = 400) -> None:
        end = time.monotonic() + timeout
        while not any(line["step"] >= step for line in log_lines(self.folder)):
            assert time.monotonic() < end and any(process.is_alive() for process in self.processes), self.said
            time.sleep(0.02)

    @property
    def said(self) -> str:
        return "\n".join(output.read_text() for output in self.outputs if output.is_file())


def _process(rank: int, processes: int, port: int, output: Path, arguments: list[str], prepare: Callable) -> None:
    torch.set_num_threads(1)
    set_start_method("fork", force=True)  # of data workers: as in a process that was not forked from a server itself
    with output.open("w") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
    if processes > 1:  # what a launcher sets
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes)}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    train(parse_arguments(arguments), **prepare())


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def log_lines(folder: Path, key: str = "step") -> list[dict]:
    """The lines of the log that have `key`; the last may be half written."""
    if not (folder / "log.jsonl").is_file():
        return []
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines(True) if line.endswith("\n")]
    return [line for line in lines if key in line]


def checkpoint(folder: Path, step: int) -> Path:
    return folder / f"checkpoint-{step:08d}"


def weights(folder: Path, step: int, name: str = "model") -> dict[str, torch.Tensor]:
    return load_file(checkpoint(folder, step) / f"{name}.safetensors")


def same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> bool:
    """To the last bit."""
    return ours.keys() == theirs.keys() and all(torch.equal(value, theirs[name]) for name, value in ours.items())
