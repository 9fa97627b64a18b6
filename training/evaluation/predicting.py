# SPDX-License-Identifier: GPL-3.0-or-later
"""`mien train predict-emotion`: what a network says of the pictures of a dataset, for a row of the tables."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
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
from training.datasets.augmentation import Augmented
from training.datasets.choice import dataset
from training.datasets.recorded import RecordedFaces
from training.datasets.together import Together
from training.evaluation.codes import counted
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
        left = [asdict(each) for each in found.left_out]
        about = {"out": str(out), "faces": scores.faces, "values": dict(scores.values), "left_out": left}
        put(json.dumps(about, indent=2))
    else:
        told = "  ".join(f"{name} {value:.3f}" for name, value in scores.values.items())
        left = [f"  left out: {each}" for each in found.left_out]
        put("\n".join((f"{out}: {scores.faces} faces", f"  {told}", *left)))


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
    """What a network says of each labelled picture of a dataset, with the dataset's labels.

    The faces have the names that the dataset gives them, or their numbers where it gives none. Pictures without a label
    are left out: another one stands in for what is damaged.

    Args:
        network: crops (B, 3, 224, 224) -> outputs (B, 10), see `readout`.
        pictures: items with `image` and the labels that all datasets have; no rings.
        source: what the pictures are called.
        split: which split they are, or the number of a fold, or empty for none.
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
    names, known_ones = np.array(_names(pictures)), labels.any
    left = counted({"without a label, or damaged": names[~known_ones].tolist()})
    return Predictions(names[known_ones], said.rows(known_ones), labels.rows(known_ones), source, left)


def _names(pictures: Dataset, first: int = 0) -> list[str]:
    """What a dataset calls its pictures; their numbers, from `first`, where it has no names for them."""
    if isinstance(pictures, Augmented):
        return _names(pictures.dataset, first)
    if isinstance(pictures, Together):
        starts = [first, *(first + end for end in pictures.cumulative_sizes)]
        return [name for part, start in zip(pictures.datasets, starts, strict=False) for name in _names(part, start)]
    if isinstance(pictures, RecordedFaces):
        return [pictures.records.name(index) for index in range(len(pictures))]
    return [str(first + index) for index in range(len(pictures))]


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
