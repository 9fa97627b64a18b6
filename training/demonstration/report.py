# SPDX-License-Identifier: GPL-3.0-or-later
"""`training/RESULTS.md`: what the demonstration did and found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from training.demonstration.judging import Felt, Judged
from training.demonstration.plan import Step
from training.demonstration.run import Demonstrated

_STEPS: dict[Step, str] = {
    "faces": "make the faces", "coarse": "teach the coarse encoder", "emotion": "train the emotion network",
    "other": "train the second emotion network", "expression": "teach the expression encoder", "damaged": "damage it",
    "emoca_without": "EMOCA coarse without the emotion loss",
    "emoca": "EMOCA coarse with it",
}  # fmt: skip


def report(found: Demonstrated) -> str:
    """Markdown."""
    return "\n\n".join([
        "# What training brings on synthetic faces",
        "Written by `python3 scripts/mien.py train demonstrate --report training/RESULTS.md`; do not edit.",
        *_setting(found), "## Emotion networks", *_emotion(found), "## EMOCA coarse", *_emoca(found), "## Time",
        *_time(found),
    ]) + "\n"  # fmt: skip


def _setting(found: Demonstrated) -> Iterable[str]:
    plan = found.plan
    yield (
        f"Device: {found.device}, {found.cores} cores. Seed {plan.seed}. Training faces: {plan.people} people of "
        f"{plan.pictures} pictures each; tested with {plan.tested} other people ({found.emotion['emotion'].faces} "
        f"pictures). All networks begin at random and are {plan.backbone}, not the paper's ResNet-50, so that two "
        "cores are enough. Nothing here says how well anything works on photos of real people."
    )


def _emotion(found: Demonstrated) -> Iterable[str]:
    yield (
        "Eight classes, valence and arousal, on people who were not in training. The faces' emotions are mixes of 16 "
        "prototypes, one or three for a class, which is far easier to tell than people's emotions: these numbers "
        "flatter."
    )
    heads = ["network", "accuracy", "V-PCC", "V-CCC", "V-RMSE", "V-SAGR", "A-PCC", "A-CCC", "A-RMSE", "A-SAGR"]
    names = {"emotion": "that of the loss", "other": "another, with another seed, that only judges"}
    rows = []
    for name, title in names.items():
        told = found.emotion[name]
        numbers = [
            getattr(which, key) for which in (told.valence, told.arousal) for key in ("pcc", "ccc", "rmse", "sagr")
        ]
        rows.append([title, _number(told.accuracy), *map(_number, numbers)])
    yield _table(heads, rows)


def _emoca(found: Demonstrated) -> Iterable[str]:
    yield (
        "A coarse encoder is taught from the truth, in DECA's place, and then frozen: identity, pose, camera, albedo "
        "and light come from it, with its errors. The expression encoder is taught from the truth too; then its last "
        "layer is disturbed and weakened to 30 %. From there it is trained twice on the same pictures in the same "
        "order, with the weights of the paper: without the emotion loss, and with it (weight "
        f"{found.plan.emotion_weight:g}). No truth but the landmarks in the closure terms is used in that."
    )
    yield (
        "Error: mean distance over the face's vertices between found and true expression, both on the mean face. "
        "Strength: length of the expression over that of the true one. Features: 1 - cosine between the emotion "
        "features of the render on black and of the photo. Class, V, A: how often both get the same class, and the CCC "
        "between their valence and arousal. First by the network that the loss uses, then by the one it never saw."
    )
    heads = ["expression encoder", "error mm", "strength", "features", "class", "V-CCC", "A-CCC", "features", "class",
             "V-CCC", "A-CCC"]  # fmt: skip
    yield _table(heads, [_encoder(name, judged) for name, judged in found.encoders.items()])
    without, emoca = found.encoders["EMOCA without the emotion loss"], found.encoders["EMOCA"]
    closer = sum(ours.distance < theirs.distance for ours, theirs in zip(emoca.felt, without.felt, strict=True))
    yield (
        f"With the emotion loss the expression error is {emoca.expression / without.expression - 1:+.1%} against "
        f"without, and the emotion of render and photo is closer by {closer} of the 2 networks."
    )


def _encoder(name: str, judged: Judged) -> list[str]:
    def felt(each: Felt) -> list[str]:
        return [_number(value) for value in (each.distance, each.same_class, each.valence, each.arousal)]

    first, second = judged.felt
    return [name, _number(judged.expression), _number(judged.strength), *felt(first), *felt(second)]


def _time(found: Demonstrated) -> Iterable[str]:
    yield "Each network is trained on one core, so that as many are trained at once as there are cores."
    yield _table(["step", "minutes"], [[title, f"{found.minutes[step]:.1f}"] for step, title in _STEPS.items()])
    speed = found.speed
    yield (
        f"A training step of EMOCA coarse with the emotion loss, batch {speed.batch}, all cores: "
        f"{speed.pictures_per_second:.1f} pictures/s. Where its time goes:"
    )
    yield _table(list(speed.shares), [[f"{share:.0%}" for share in speed.shares.values()]])


def _number(value: float) -> str:
    return f"{value:.3f}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
