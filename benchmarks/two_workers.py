"""Run two worker processes on loopback, like two machines."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

# Trains, and saves a copy of the run directory of each worker; otherwise only that of the chief would remain.
TRAIN = """
import importlib, shutil, sys
from common.cli import app
from common.distribution import workers
train, training = (importlib.import_module(f"{sys.argv[1]}.{name}") for name in ("train", "training"))
train_run = training.train_run
def keeping(*arguments, **options):
    run, trained = train_run(*arguments, **options)
    shutil.copytree(run.folder, f"{sys.argv[2]}/worker_{workers.worker_index()}")
    return run, trained
training.train_run = keeping
sys.exit(app.run(train.main, train.define_flags, sys.argv[3:]))
"""


def free_ports(number: int) -> list[int]:
    """Find free ports."""
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("localhost", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def start(code: str, arguments: list[str], log: Path) -> list[subprocess.Popen]:
    """Start two workers with the same code and arguments; their output goes to `log` with the worker number."""
    addresses = [f"localhost:{port}" for port in free_ports(2)]
    processes = []
    for index in range(2):
        cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environment = {**os.environ, "TF_CONFIG": json.dumps(cluster)}
        with log.with_suffix(f".{index}").open("w") as said:
            command = [sys.executable, "-c", code, *arguments]
            processes.append(subprocess.Popen(command, env=environment, stdout=said, stderr=subprocess.STDOUT))
    return processes


def finish(processes: list[subprocess.Popen], log: Path, timeout: float = 400) -> None:
    """Wait for workers, and check that they succeed."""
    try:
        codes = [process.wait(timeout) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert codes == [0, 0], "\n".join(log.with_suffix(f".{index}").read_text()[-3000:] for index in range(2))
