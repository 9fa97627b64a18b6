# SPDX-License-Identifier: GPL-3.0-or-later
"""Shots on the machines of a Ray cluster, over a file system that all of them share."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import atomic_write
from blender_addon.contract.options import WANTS_GPU
from blender_addon.contract.version import VERSION

from .plan import Plan
from .run_shot import clear_up, failed_record
from .runner import Done
from .shot import Task

ROOT = Path(__file__).resolve().parents[2]
RETRIES = 3
"""How often a shot is begun again after its process or its machine has died."""
_LISTEN_SECONDS = 10
_PROBE_SECONDS = 120
"""How long a machine may take to start a process that says where it is."""

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent to Ray's makers
    "RAY_task_oom_retries": str(RETRIES),  # without end otherwise
    # A cluster that does not answer is told within half a minute, not within a quarter of an hour.
    "RAY_NUM_REDIS_GET_RETRIES": "2",
    "RAY_py_gcs_connect_timeout_s": "5",
}


def _on_node(root: str, name: str, *arguments: object) -> Any:
    """Call a function of `backend.batch.node` on whichever machine this runs."""
    import sys

    if root not in sys.path:
        sys.path.insert(0, root)
    from backend.batch import node

    return getattr(node, name)(*arguments)


def load_ray() -> Any:
    """The package, set so that it sends nothing anywhere.

    Raises:
        MienError: SETUP_FAILED where it is not installed.
    """
    os.environ.update(_SETTINGS)
    try:
        import ray
    except ImportError as error:
        message = f"Ray is not installed in Mien's environment ({error})."
        remedy = "Run 'python3 scripts/mien.py setup --ray' once, or leave --ray out to use this machine alone."
        raise MienError(ErrorCode.SETUP_FAILED, message, remedy) from error
    return ray


class RayRunner:
    """Does tasks on a cluster.

    Args:
        address: HOST:PORT of the cluster's head, or auto for the one that runs on this machine.
        plan: What is to be done: its folder has to be there on every machine.
        threads: CPUs that each shot takes.
        most: How many shots at once; None for as many as the cluster holds.

    Raises:
        MienError: SETUP_FAILED without Ray, or where a machine has another Mien or not the same folder; USAGE where no
            cluster answers or none of its machines is large enough.
    """

    def __init__(self, address: str, plan: Plan, threads: int, most: int | None) -> None:
        self._ray = load_ray()
        self._most = most
        self._queue: list[Task] = []
        self._flying: dict[Any, Task] = {}
        # By value: the machines need no Mien on their Python's path to find the function that puts it there.
        self._ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
        self._connect(address)
        try:
            nodes = self._nodes(threads)
            self._probe(nodes, plan.out)
            self._gpus = self._ray.cluster_resources().get("GPU", 0)
        except BaseException:  # also Ctrl-C: the cluster must not keep us for its driver
            self._ray.shutdown()
            raise
        self._slots = int(sum(node["Resources"]["CPU"] for node in nodes) // threads)
        self._call = self._ray.remote(num_cpus=threads, max_retries=RETRIES)(_on_node)

    def add(self, tasks: Sequence[Task]) -> None:
        """Take tasks; they are begun in this order, after those that were taken before."""
        self._queue += tasks
        self._fill()

    def ended(self, seconds: float) -> list[Done]:
        """Tasks that have ended since the last call; waits up to `seconds` for one."""
        refs = list(self._flying)
        if not refs:
            time.sleep(seconds)
            return []
        over, _ = self._ray.wait(refs, num_returns=1, timeout=seconds)
        if over:  # and all others that happen to have ended
            over, _ = self._ray.wait(refs, num_returns=len(refs), timeout=0)
        done = [self._result(ref, self._flying.pop(ref)) for ref in over]
        self._fill()
        return done

    def begun(self) -> list[Task]:
        """Tasks that may be running: the cluster begins with the first."""
        return list(islice(self._flying.values(), 2 * self._slots))

    def close(self, kill: bool) -> None:
        """Leave the cluster."""
        if kill:
            for ref, task in self._flying.items():
                with suppress(self._ray.exceptions.RayError):
                    self._ray.cancel(ref, force=True)
                clear_up(task)
        self._ray.shutdown()

    def _fill(self) -> None:
        while self._queue and (self._most is None or len(self._flying) < self._most):
            task = self._queue.pop(0)
            gpus = 1 if self._gpus >= 1 and WANTS_GPU[task.shot.options.engine] else 0
            ref = self._call.options(num_gpus=gpus).remote(str(ROOT), "do", VERSION, task.to_json())
            self._flying[ref] = task

    def _result(self, ref: Any, task: Task) -> Done:
        try:
            answer = self._ray.get(ref)
        except self._ray.exceptions.TaskCancelledError:
            return Done(task, None)
        except self._ray.exceptions.RayError as error:
            source = task.shot.options.source
            reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
            message = f"The process that captured {source} on the cluster died, {RETRIES + 1} times ({reason})."
            if isinstance(error, self._ray.exceptions.RayTaskError):
                message = f"{source} could not be captured on the cluster ({error.cause})."
            remedy = "Look at the machine's memory and at Ray's logs, or capture this shot by itself."
            return Done(task, failed_record(task, MienError(ErrorCode.BACKEND_DIED, message, remedy)))
        return Done.of(task, answer)

    def _connect(self, address: str) -> None:
        if "://" in address:
            message = f"{address} is not the address of a Ray cluster's head."
            raise MienError(ErrorCode.USAGE, message, "Give HOST:PORT, or auto for the cluster of this machine.")
        try:
            if address != "auto":
                _require_listener(address)  # Ray itself would wait for half a minute
            self._ray.init(address=address, logging_level="ERROR", log_to_driver=False)
        except (OSError, ValueError) as error:  # ConnectionError among them
            message = f"No Ray cluster answers at {address}."
            remedy = "Start one with 'ray start --head', or give the address of one that runs on this machine too."
            raise MienError(ErrorCode.USAGE, message, remedy, {"reason": str(error)}) from error
        except RuntimeError as error:  # its words for another Python or another Ray
            message = f"The Ray cluster at {address} does not fit: {_one_line(error)}."
            remedy = "Start its machines with the Ray of Mien's own environment."
            raise MienError(ErrorCode.SETUP_FAILED, message, remedy) from error

    def _nodes(self, threads: int) -> list[dict[str, Any]]:
        alive = [node for node in self._ray.nodes() if node["Alive"]]
        fit = [node for node in alive if node["Resources"].get("CPU", 0) >= threads]
        if not fit:
            largest = max((node["Resources"].get("CPU", 0) for node in alive), default=0)
            message = f"No machine of the cluster has {threads} CPUs for a shot; the largest has {largest:g}."
            raise MienError(ErrorCode.USAGE, message, "Give a smaller --threads.")
        return fit

    def _probe(self, nodes: Sequence[dict[str, Any]], out: Path) -> None:
        """Ask each machine whether it has this Mien, and finds in the folder of results what stands there.

        Raises:
            MienError: SETUP_FAILED.
        """
        strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        token = secrets.token_hex(16)
        marker = out / f".mien-probe-{token}"
        atomic_write(marker, lambda file: file.write(token.encode()))
        try:
            ask = self._ray.remote(_on_node)
            asked = {
                ask.options(num_cpus=0, max_retries=1, scheduling_strategy=strategy(node["NodeID"], soft=False)).remote(
                    str(ROOT), "probe", VERSION, str(marker), token
                ): node["NodeManagerHostname"]
                for node in nodes
            }
            for ref, machine in asked.items():
                self._answer(ref, machine, out)
        finally:
            with suppress(OSError):
                marker.unlink()

    def _answer(self, ref: Any, machine: str, out: Path) -> None:
        errors = self._ray.exceptions
        remedy = f"Put Mien {VERSION} and its environment at {ROOT} on every machine, and share {out.parent} with all."
        try:
            problem = self._ray.get(ref, timeout=_PROBE_SECONDS)
        except errors.GetTimeoutError:
            problem = f"did not answer within {_PROBE_SECONDS} s"
        except errors.RayTaskError as error:
            problem = f"cannot run Mien from {ROOT} ({_one_line(error.cause)})"
        except errors.RayError as error:
            problem = f"cannot start a process ({_one_line(error)})"
        if problem:
            raise MienError(ErrorCode.SETUP_FAILED, f"The machine {machine} {problem}.", remedy)


def _require_listener(address: str) -> None:
    """Make sure that something listens at HOST:PORT.

    Raises:
        OSError, ValueError: Nothing does, or it is no address.
    """
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=_LISTEN_SECONDS):
        pass


def _one_line(error: BaseException | None) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].rstrip(".")
