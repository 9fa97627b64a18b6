# SPDX-License-Identifier: GPL-3.0-or-later
"""The measurements of `scripts/bench.py`."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import least_squares

from backend.engines.fit.evidence import observe, score_prior
from backend.engines.fit.fit import WEAK_STEPS
from backend.faces.crops import crop_transforms
from backend.reprojection.cameras import WeakPerspective
from backend.reprojection.levenberg import minimise, total_cost
from backend.reprojection.placing import in_crop
from backend.reprojection.problem import Problem, State
from backend.reprojection.start import align
from backend.session import Session
from backend.setup.bpy_environments import FOR_SAVING, choose_release, ensure_bpy
from backend.setup.test_run import ENVIRONMENTS
from backend.terminal import TerminalProgress
from blender_addon.client.events import CaptureFinished
from blender_addon.client.jobs import Client
from blender_addon.client.launch import ClientSettings
from blender_addon.contract.options import CaptureOptions
from blender_addon.contract.places import BackendRecord
from blender_addon.contract.version import VERSION
from tests.batch_benchmarks import batch
from tests.bench_rows import row
from tests.client_driver import Driver
from tests.measures import capture, landmark_errors, mirror_difference, round_trip
from tests.network_benchmarks import on_cpu, on_cuda
from tests.pictures import group_photo, save_astronaut
from tests.raster_benchmarks import rasterisers
from tests.synthetic import make_truth, solve, surface_error
from tests.training_benchmarks import training
from tests.video_benchmarks import video
from tests.video_number_benchmarks import numbers

ROOT = Path(__file__).resolve().parents[1]
RUNS = 15
SYNTHETIC_HEADS = 40


def seconds(run: Callable[[], object], runs: int = RUNS) -> float:
    """Median seconds of a call after one that does not count."""
    run()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def quality(session: Session, folder: Path) -> None:
    """Print how well captures fit."""
    plain = capture(session, save_astronaut(folder / "astronaut.png"))
    mirrored = capture(session, save_astronaut(folder / "mirrored.png", mirrored=True))
    group = capture(session, group_photo(), all_faces=True)
    distance, correlation = round_trip(session, plain)
    five = landmark_errors(group)[:5]
    row("landmark error, astronaut", f"{landmark_errors(plain)[0]:.2%}", "at most 1.0 %")
    row("landmark error, five largest of the group, median", f"{np.median(five):.2%}", "at most 1.5 %")
    row("  each", " ".join(f"{error:.2%}" for error in five))
    row("render and detect again, astronaut: landmarks", f"{distance:.2%}", "at most 1.9 %")
    row("render and detect again, astronaut: blendshape r", f"{correlation:.3f}", "at least .83")
    row("mirrored photo, largest difference of a channel", f"{mirror_difference(plain, mirrored):.3f}", "at most .05")
    head = session.head("open")
    model, engine = session.model(head), session.landmark_fit(head)
    errors = []
    for seed in range(SYNTHETIC_HEADS):
        truth = make_truth(head, model, seed, noise=0.01)
        errors.append(surface_error(head, model, solve(engine, truth)[0], truth))
    name = f"{SYNTHETIC_HEADS} synthetic heads, 1 % noise, median surface error"
    row(name, f"{np.median(errors) * 1e3:.2f} mm", "at most 1.3 mm")


def speed(session: Session, folder: Path) -> None:
    """Print how fast captures are."""
    photo = save_astronaut(folder / "astronaut.png")
    _request(session, photo, folder)
    _fit_against_scipy(session, photo)
    _command(photo, folder)


def _request(session: Session, photo: Path, folder: Path) -> None:
    """A warm backend from request to result, against the landmarker alone on the same photo."""
    record = BackendRecord(sys.executable, str(ROOT), VERSION)
    driver = Driver(Client(ClientSettings(folder / "heads", record=record, device="cpu")))
    try:

        def request() -> None:
            job = driver.client.capture(CaptureOptions(str(photo), device="cpu"))
            driver.until(lambda event: isinstance(event, CaptureFinished) and event.job == job)

        warm = seconds(request)
        row("warm backend, 512x512, one face, request to result", f"{warm * 1e3:.0f} ms", "at most 200 ms")
        memory = _peak_memory(driver.client.pid)
        row("  backend's peak memory", f"{memory / 1e9:.2f} GB" if memory else "not known here", "at most 1.2 GB")
    finally:
        driver.client.close()
    finder = session.finder()
    pixels = capture(session, photo).picture.pixels
    alone = seconds(lambda: finder.find(pixels))
    row("  ratio to finding the face alone, in this process", f"{warm / alone:.1f} x")


def _peak_memory(pid: int | None) -> int | None:
    """Peak resident bytes of a process, where the system tells (Linux)."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return None
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def _fit_against_scipy(session: Session, photo: Path) -> None:
    """The batched solver against scipy's on the same residuals and bounds, derivatives by the same code."""
    engine = session.landmark_fit(session.head("open"))
    finder = session.finder()
    pixels = capture(session, photo).picture.pixels
    face = finder.refine(pixels, finder.find(pixels)[0])
    seen = in_crop(face.landmarks[None], crop_transforms(face.landmarks[None]))
    mean = engine.basis.mean.double().numpy()
    rotation, camera = align(mean, seen, engine.basis.root_joint[:, 0].double().numpy())
    prior = score_prior(engine.channels, engine.basis, face.blendshapes[None])
    like = engine.basis.mean
    start = State(prior.mean[:, :-1], prior.mean[:, -1], like.new_tensor(rotation), like.new_tensor(camera))
    observation = observe(seen, engine.basis, start.rotation, camera[:, 0])
    problem = Problem(engine.basis, WeakPerspective(), observation, prior)
    ours = seconds(lambda: minimise(problem, start, WEAK_STEPS), 5)
    cost = float(total_cost(problem, minimise(problem, start, WEAK_STEPS))[0])
    values, gradient = _flat(problem, start)
    width = prior.mean.shape[1]
    low = np.concatenate([prior.low[0].double().numpy() - 1e-6, np.full(6, -np.inf)])
    high = np.concatenate([prior.high[0].double().numpy() + 1e-6, np.full(6, np.inf)])
    first = np.concatenate([np.clip(prior.mean[0].double().numpy(), low[:width], high[:width]), np.zeros(6)])

    def scipy_fit():
        return least_squares(values, first, gradient, (low, high), method="trf", loss="huber", f_scale=3.0, max_nfev=30)

    theirs = seconds(scipy_fit, 3)
    row("fit of one face, weak perspective", f"{ours * 1e3:.0f} ms")
    row("  scipy least_squares (trf, Huber) on the same residuals", f"{theirs * 1e3:.0f} ms")
    row("  ratio", f"{theirs / ours:.1f} x faster")
    row("  cost reached, ours", f"{cost:.1f}")


def _flat(problem: Problem, start: State):
    """Residuals and Jacobian as functions of one vector: coefficients, jaw, then a turn and a move of the camera."""
    like = start.coefficients
    width = like.shape[1]

    def state(vector: np.ndarray) -> State:
        step = like.new_tensor(vector[None])
        step[:, :width] -= start.coefficients
        step[:, width] -= start.jaw
        return start.moved(step)

    def values(vector: np.ndarray) -> np.ndarray:
        residuals, prior = problem.residuals(state(vector))
        return torch.cat([residuals.flatten(), prior.flatten()]).double().numpy()

    def gradient(vector: np.ndarray) -> np.ndarray:
        _, _, jacobian = problem.linearised(state(vector))
        by_prior = torch.zeros(width + 1, jacobian.shape[-1])
        by_prior[:, : width + 1] = torch.diag(1 / problem.prior.sigma[0])
        return torch.cat([jacobian.flatten(0, 2), by_prior]).double().numpy()

    return values, gradient


def _command(photo: Path, folder: Path) -> None:
    """`mien capture` as a whole process, against merely loading what it needs."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    whole = [sys.executable, str(ROOT / "scripts" / "mien.py"), "capture", str(photo), "--out", str(folder / "out")]
    loading = [sys.executable, "-c", "import torch, mediapipe"]

    def run(command: list[str]) -> Callable[[], object]:
        return lambda: subprocess.run(command, env=environment, check=True, capture_output=True)

    total, load = seconds(run(whole), 3), seconds(run(loading), 3)
    row("mien capture without --blend, start to end", f"{total:.1f} s", "at most 6 s")
    row("  ratio to importing torch and mediapipe", f"{total / load:.1f} x")


def blender(session: Session, folder: Path) -> None:
    """Print how fast takes become keys in Blender, against keyframe_insert in the same run, and files of others."""
    release, interpreter = choose_release(FOR_SAVING)
    with TerminalProgress() as progress:
        python = ensure_bpy(release, interpreter, ROOT, ENVIRONMENTS, progress, ("bpy-test.txt",))
    head = folder / "head.npz"
    session.head("open").save(head)
    for script in ("bench_keys.py", "bench_exports.py"):
        subprocess.run([python, str(ROOT / "tests" / "blender" / script), "--head", str(head)], check=True)


def networks(session: Session, folder: Path) -> None:
    """Print how many images a second the published networks take."""
    on_cpu()
    if torch.cuda.is_available():
        on_cuda(torch.device("cuda"))


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.py", description="Quality and speed of captures.")
    measures = {
        measure.__name__: measure
        for measure in (quality, speed, networks, rasterisers, training, video, numbers, batch, blender)
    }
    parser.add_argument("--only", choices=list(measures), help="what to measure; all by default")
    only = parser.parse_args().only
    session = Session("cpu")
    print(f"torch {torch.__version__}, {session.threads} threads")
    with tempfile.TemporaryDirectory() as folder:
        for name, measure in measures.items():
            if only in (None, name):
                measure(session, Path(folder))
    session.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
