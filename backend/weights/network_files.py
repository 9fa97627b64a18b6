# SPDX-License-Identifier: GPL-3.0-or-later
"""Recognising the files of the published networks by the names and shapes of their tensors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from backend.networks.codes import ExpressionBranch
from backend.networks.emotion_backbones import Backbone, backbone_of
from backend.networks.lip_reading import Activation, activation_of
from backend.weights.checkpoint_extras import extras
from backend.weights.found import About, Found
from backend.weights.matching import NetworkName, bad_weights, matched
from backend.weights.stored import Readable

Tensors = Mapping[str, object]
_DECA: Mapping[str, NetworkName] = {
    "E_flame.": "coarse encoder", "E_detail.": "detail encoder", "D_detail.": "detail decoder",
}  # fmt: skip
_EXPRESSION_ROWS = "E_expression.layers.2.weight"
_MLP_INPUTS: Mapping[int, NetworkName] = {
    153: "emotion MLP 153", 156: "emotion MLP 156", 281: "emotion MLP 281", 284: "emotion MLP 284",
}  # fmt: skip
_BRANCHES: Mapping[int, NetworkName] = {
    50: "expression encoder 50", 53: "expression encoder 53", 56: "expression encoder 56",
}  # fmt: skip
_EMOTION_NETWORKS: Mapping[Backbone, NetworkName] = {
    "resnet50": "emotion network resnet50", "swin_b": "emotion network swin_b", "emonet": "emotion network emonet",
    "mobilenet_large": "emotion network mobilenet_large", "mobilenet_small": "emotion network mobilenet_small",
}  # fmt: skip
_LIP_READERS: Mapping[Activation, NetworkName] = {"swish": "lip reading swish", "prelu": "lip reading prelu"}
_SWIN_HEAD, _SWIN = re.compile(r"^swin\.head\."), re.compile(r"^swin\.")
_LIP_READER = "frontend3D.0.weight"
_ORIGINAL = "Add the file that the publisher gives out."


def networks(content: object, about: About) -> list[Found] | None:
    """The networks in a file; None where it holds none that is known.

    Raises:
        MienError: BAD_WEIGHTS: it is a file of a known network and does not hold it as published.
    """
    if not isinstance(content, Mapping):
        return None
    inner = content.get("state_dict")
    tensors: Tensors = inner if isinstance(inner, Mapping) else content
    starts = {str(name).split(".")[0] for name in tensors}
    nested = {str(name) for name, value in content.items() if isinstance(value, Mapping)}
    if nested & {"E_flame", "E_detail", "D_detail"}:
        return [_deca(_flat(content, ("E_flame", "E_detail", "D_detail")), about, "")]
    if {"arcface", "flameModel"} <= nested:
        return [_mica(content, about)]
    if any(str(name).startswith(("deca.E_", "deca.D_detail.")) for name in tensors):
        return _emoca(tensors, about)
    if "smirk_encoder" in starts:
        return [_smirk(tensors, about)]
    if any(str(name).startswith("mlp.model.") for name in tensors):
        return [_emotion_mlp(tensors, about)]
    if {"backbone", "linear"} <= starts or "swin" in starts:
        return [_emotion_network(tensors, about)]
    if any(str(name).endswith(_LIP_READER) for name in tensors):
        return [_lip_reading(tensors, about)]
    if {"conv1.weight", "layer1.0.conv1.weight", "fc.weight"} <= set(tensors):
        return [_face_recognition(tensors, about)]
    return None


def _deca(tensors: Tensors, about: About, name: str) -> Found:
    return Found("deca", matched(about.file, "DECA's networks", tensors, _DECA), name, notes=_left(tensors, _DECA))


def _emoca(tensors: Tensors, about: About) -> list[Found]:
    """EMOCA, or DECA in EMOCA's layout, and what else the checkpoint holds."""
    inner = {str(name).removeprefix("deca."): value for name, value in tensors.items() if str(name).startswith("deca.")}
    model = _model(about.config, about.stage)
    if any(name.startswith("E_mica.") for name in inner):
        raise bad_weights(about.file, "is EMICA, which Mien does not run", "Add EMOCA's checkpoint instead.")
    if any(name.startswith("E_expression.") for name in inner):
        first = _with_expression(inner, about, model)
    elif model.get("deca_class", "DECA") == "DECA":
        first = _deca(inner, about, about.model)
    else:
        reason = f"is said to be {model['deca_class']}, and has no expression encoder"
        raise bad_weights(about.file, reason, _ORIGINAL, cause="mismatch")
    return [first, *extras(inner)]


def _with_expression(inner: Tensors, about: About, model: Mapping[str, object]) -> Found:
    parallel = any(name.startswith("E_expression.resnet.") for name in inner)
    if parallel or not any(name.startswith("E_expression.encoder.") for name in inner):
        reason = "has an expression encoder that shares DECA's network (deca_parallel), which no published EMOCA has"
        raise bad_weights(about.file, reason, "Add a published checkpoint, or train with 'deca_clone'.")
    shape = tuple(getattr(inner.get(_EXPRESSION_ROWS), "shape", ()))
    if not shape or shape[0] not in _BRANCHES:
        reason = f"has an expression encoder of another size ({shape[0] if shape else 'no'} numbers, not 50, 53 or 56)"
        raise bad_weights(about.file, reason, _ORIGINAL, cause="mismatch")
    branch, notes = _branch(shape[0], model)
    wanted = _DECA | {"E_expression.": _BRANCHES[shape[0]]}
    arrays = matched(about.file, "EMOCA's networks", inner, wanted)
    settings = {"head_rotation": str(branch.head_rotation).lower(), "jaw": str(branch.jaw).lower()}
    left = _left({name: value for name, value in inner.items() if not name.startswith(_USED)}, {})
    return Found("emoca", arrays, about.model or "EMOCA", settings, (*notes, *left))


_USED = (*_DECA, "E_expression.", "flame.", "render.", "uv_face_eye_mask", "fixed_uv_dis")


def _branch(outputs: int, model: Mapping[str, object]) -> tuple[ExpressionBranch, tuple[str, ...]]:
    """What an expression encoder of so many numbers gives: the file's size counts, its configuration decides ties."""
    said = ExpressionBranch(bool(model.get("exp_deca_global_pose")), bool(model.get("exp_deca_jaw_pose")))
    told = {50: "expression alone", 56: "expression, head rotation and jaw"}
    if outputs == 53:
        known = said.outputs == 53
        branch = said if known else ExpressionBranch(jaw=True)
        notes = [f"Its expression encoder gives expression and {'jaw' if branch.jaw else 'head rotation'}."]
        if not known:
            notes.append("No configuration (cfg.yaml) says which of jaw and head rotation it is; jaw was assumed.")
        return branch, tuple(notes)
    branch = ExpressionBranch(outputs == 56, outputs == 56)
    notes = [f"Its expression encoder gives {told[outputs]}; the rest is DECA's."]
    if model and said != branch:
        notes.append("Its configuration (cfg.yaml) says otherwise; the size of the network counts.")
    return branch, tuple(notes)


def _smirk(tensors: Tensors, about: About) -> Found:
    plain: dict[str, object] = {}
    for name, value in tensors.items():
        if str(name).startswith("smirk_generator."):
            plain["translator." + str(name).removeprefix("smirk_generator.")] = value
        else:
            plain[str(name).replace("smirk_encoder.", "encoder.", 1)] = value
    wanted: dict[str, NetworkName] = {"encoder.": "SMIRK encoder"}
    if any(name.startswith("translator.") for name in plain):
        wanted["translator."] = "SMIRK translator"
    return Found("smirk", matched(about.file, "SMIRK's networks", plain, wanted), notes=_left(plain, wanted))


def _mica(content: Tensors, about: About) -> Found:
    plain = _flat(content, ("arcface",))
    plain |= {str(name): value for name, value in content["flameModel"].items()}  # type: ignore[attr-defined]
    wanted: Mapping[str, NetworkName] = {"arcface.": "ArcFace", "regressor.": "MICA mapping"}
    return Found("mica", matched(about.file, "MICA's networks", plain, wanted), notes=_left(plain, wanted))


def _emotion_network(tensors: Tensors, about: About) -> Found:
    """The published ones, ours, and EMOCA's Swin-B, which has its last layer within."""
    plain = {_SWIN_HEAD.sub("linear.", str(name)): value for name, value in tensors.items()}
    plain = {_SWIN.sub("backbone.", name): value for name, value in plain.items()}
    kind = backbone_of({name.removeprefix("backbone.") for name in plain if name.startswith("backbone.")}) or "resnet50"
    if kind != "emonet":  # SPECTRE's name for the same layer
        plain = {name.replace("linear.0.", "linear."): value for name, value in plain.items()}
    own = {f".{name}": value for name, value in plain.items() if name.startswith(("backbone.", "linear."))}
    what = "EMOCA's emotion network" if kind == "resnet50" else f"an emotion network on {kind}"
    arrays = matched(about.file, what, own, {".": _EMOTION_NETWORKS[kind]})
    notes = _left(plain, ("backbone.", "linear."))
    name = "" if kind == "resnet50" and about.model else kind  # EMOCA's lies in the folder of its model
    return Found("emotion_network", _without_dot(arrays), name, {"backbone": kind}, notes)


def _lip_reading(tensors: Tensors, about: About) -> Found:
    """The front-end of a lip reader; what makes words of it stays in the file."""
    start = next(str(name) for name in tensors if str(name).endswith(_LIP_READER)).removesuffix(_LIP_READER)
    own = {str(name)[len(start) :]: value for name, value in tensors.items() if str(name).startswith(start)}
    front = {f".{name}": value for name, value in own.items() if name.startswith(("frontend3D.", "trunk."))}
    activation = activation_of(front)
    arrays = matched(about.file, "the front-end of a lip reader", front, {".": _LIP_READERS[activation]})
    left = _left(tensors, (f"{start}frontend3D.", f"{start}trunk."))
    return Found("lip_reading", _without_dot(arrays), settings={"activation": activation}, notes=left)


def _emotion_mlp(tensors: Tensors, about: About) -> Found:
    plain = {str(name).removeprefix("mlp."): value for name, value in tensors.items()}
    shape = tuple(getattr(plain.get("model.0.weight"), "shape", ()))
    if len(shape) != 2 or shape[1] not in _MLP_INPUTS:
        reason = f"has an emotion network of another size ({shape[-1] if shape else 'no'} inputs, not 153)"
        raise bad_weights(about.file, reason, _ORIGINAL, cause="mismatch")
    own = {f".{name}": value for name, value in plain.items() if name.startswith("model.")}
    arrays = matched(about.file, "the emotion network on head parameters", own, {".": _MLP_INPUTS[shape[1]]})
    return Found("emotion_mlp", _without_dot(arrays), about.model, notes=_left(plain, ("model.",)))


def _face_recognition(tensors: Tensors, about: About) -> Found:
    own = {f".{name}": value for name, value in tensors.items()}
    arrays = matched(about.file, "the ResNet-50 of VGGFace2", own, {".": "face recognition"})
    return Found("face_recognition", _without_dot(arrays))


def _without_dot(arrays: Mapping[str, Readable]) -> dict[str, Readable]:
    return {name.removeprefix("."): array for name, array in arrays.items()}


def _flat(content: Tensors, names: tuple[str, ...]) -> dict[str, object]:
    """Tables within the table, as one; where one is missing its tensors will be."""
    tables = {name: content.get(name) for name in names}
    return {
        f"{name}.{key}": value
        for name, table in tables.items() if isinstance(table, Mapping)
        for key, value in table.items()
    }  # fmt: skip


def _model(config: Mapping[str, object], stage: str) -> Mapping[str, object]:
    """The model's section of a configuration, of a stage of training where it has several."""
    inner = config.get(stage)
    section = inner if isinstance(inner, Mapping) else config
    model = section.get("model")
    return model if isinstance(model, Mapping) else {}


def _left(tensors: Tensors, used: Mapping[str, NetworkName] | tuple[str, ...]) -> tuple[str, ...]:
    """One sentence on the tensors that nothing needs."""
    groups = Counter(name.split(".")[0] for name in tensors if not name.startswith(tuple(used) or ("\0",)))
    if not groups:
        return ()
    told = ", ".join(sorted(groups))
    return (f"Left aside, not needed: {sum(groups.values())} tensors of {told}.",)
