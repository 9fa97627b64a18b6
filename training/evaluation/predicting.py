# SPDX-License-Identifier: GPL-3.0-or-later
"""`mien train predict-emotion`: what a network says of the pictures of a dataset, for a row of the tables."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from backend.device import choose_device, set_threads
from backend.networks.emotion import readout
from backend.outputs import check_writable
from backend.terminal import TerminalProgress, put
from blender_addon.contract.errors import ErrorCode, MienError
from training.datasets.choice import dataset
from training.evaluation.labels import Labels
from training.evaluation.scores import Predictions, Said, score
from training.model.emotion import emotion_network

_LABELS = ("label", "valence", "arousal", "person")


def predict_emotion(options: argparse.Namespace) -> None:
    """Run `mien train predict-emotion`.

    Args:
        options: As `training.evaluation.command` parses them.

    Raises:
        MienError: USAGE; what reading the network, the dataset and writing raise.
    """
    out = Path(options.out)
    check_writable(out)
    device = choose_device(options.device)
    set_threads(options.threads)
    pictures = dataset(_entry(options.data))
    with TerminalProgress() as progress:
        network = emotion_network(options.network)
        found = predictions(
            network, pictures, options.data, options.split, batch=options.batch, device=device,
            told=lambda done: progress("predict-emotion", done, f"{len(pictures)} pictures"),
        )  # fmt: skip
    found.save(out)
    scores = score(found.said, found.labels)
    if options.json:
        put(json.dumps({"out": str(out), "faces": scores.faces, "values": dict(scores.values)}, indent=2))
    else:
        told = "  ".join(f"{name} {value:.3f}" for name, value in scores.values.items())
        put(f"{out}: {scores.faces} faces\n  {told}")


def predictions(
    network: nn.Module,
    pictures: Dataset,
    source: str,
    split: str = "test",
    *,
    batch: int = 64,
    device: torch.device = torch.device("cpu"),  # noqa: B008
    told: Callable[[float], None] = lambda done: None,
) -> Predictions:
    """What a network says of each picture of a dataset, with the dataset's labels.

    Args:
        network: crops (B, 3, 224, 224) -> outputs (B, 10), see `readout`.
        pictures: items with `image` and the labels that all datasets have; no rings.
        source: what the pictures are called.
        split: which split they are.
        batch: pictures at a time.
        device: where.
        told: the share that is done.

    Raises:
        MienError: USAGE for a dataset without pictures or labels, or of rings.
    """
    if not len(pictures) or (image := pictures[0].get("image")) is None or image.ndim != 3:
        message = f"{source} has no single pictures."
        raise MienError(ErrorCode.USAGE, message, "Name a dataset of pictures, without pictures_a_ring.")
    network = network.to(device).eval()
    outputs: list[Tensor] = []
    known: dict[str, list[Tensor]] = {name: [] for name in _LABELS}
    with torch.inference_mode():
        for items in DataLoader(pictures, batch):
            outputs.append(network(items["image"].to(device)).float().cpu())
            for name, values in known.items():
                values.append(items[name])
            told(min(len(outputs) * batch / len(pictures), 1.0))
    label, valence, arousal, person = (torch.cat(values).numpy() for values in known.values())
    labels = Labels(label, valence, arousal, person.astype(str), np.full(len(label), split))
    if not labels.any.any():
        raise MienError(ErrorCode.USAGE, f"{source} has no labels.", "Name a dataset with labels of emotions.")
    found = readout(torch.cat(outputs))
    said = Said(found.valence[:, 0].numpy(), found.arousal[:, 0].numpy(), found.log_probabilities.numpy())
    return Predictions(np.arange(len(label)).astype(str), said, labels, source)


def _entry(text: str) -> object:
    """An entry of a config from the command line, or the YAML file that holds one."""
    try:
        path = Path(text)
        content = path.read_text(encoding="utf-8") if path.suffix in (".yaml", ".yml") and path.exists() else text
        return yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        remedy = "Write it as '{kind: affectnet, folder: DIR, split: test}'."
        raise MienError(ErrorCode.USAGE, f"The dataset cannot be read: {reason}.", remedy) from error
