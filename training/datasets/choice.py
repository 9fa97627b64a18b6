# SPDX-License-Identifier: GPL-3.0-or-later
"""The dataset that an entry of a config asks for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from backend.heads import load_head
from blender_addon.contract.errors import ErrorCode, MienError
from training.datasets.afew_va import afew_va
from training.datasets.aff_wild2 import aff_wild2
from training.datasets.affectnet import affectnet
from training.datasets.augmentation import AUGMENTATIONS, Augmented
from training.datasets.augmentation import Name as AugmentationName
from training.datasets.faces import FACE_KEYS, Faces
from training.datasets.rings import Rings
from training.datasets.together import Together
from training.datasets.vggface2 import vggface2
from training.datasets.voxceleb2 import voxceleb2
from training.evaluation.code_faces import codes
from training.synthetic.dataset import SyntheticFaces
from training.synthetic.on_disk import StoredFaces

Settings = Mapping[str, object]


def dataset(settings: Settings | Sequence[Settings]) -> Faces:
    """The dataset of a config entry, or of several, one behind the other.

    An entry names a `kind` and what that kind's function here takes. Any entry may also have

    * `augmentation` (`emotion`, `emoca` or `none`), with `augmentation_seed` and `geometric`, see `Augmented`;
    * `pictures_a_ring`: items are rings of so many pictures of one person, `ring_seed` chooses them;
    * `weight`, in a list: how often the dataset is drawn in relation to the others (see `sampling.sampler`).

    Args:
        settings: an entry or a list of entries. Where kinds are mixed, items have `FACE_KEYS` alone.

    Raises:
        MienError: USAGE for an unknown kind, an unknown or missing key, or a value of another type; and what the
            dataset itself raises.
    """
    if isinstance(settings, Mapping):
        if "weight" in settings:
            raise _usage("A dataset alone has no weight.", "Take the key weight away, or give a list of datasets.")
        return _one(settings)
    if not isinstance(settings, Sequence) or isinstance(settings, str) or not settings:
        raise _usage(f"A dataset is an entry with a kind or a list of them, not {settings!r}.", _KINDS_REMEDY)
    parts = [_one({key: value for key, value in entry.items() if key != "weight"}) for entry in map(_entry, settings)]
    weights = [_weight(entry["weight"]) if "weight" in entry else None for entry in settings]
    if None in weights and any(weight is not None for weight in weights):
        raise _usage("Some datasets of a list have a weight and others have none.", "Give all of them one, or none.")
    kinds = {entry["kind"] for entry in settings}
    return Together(parts, None if None in weights else weights, FACE_KEYS if len(kinds) > 1 else None)


def augmented_dataset(
    made: Faces, name: AugmentationName, seed: int = 0, geometric: bool | None = None
) -> Faces:
    """A dataset under a named augmentation; itself for `none`. See `Augmented`."""
    return made if name == "none" else Augmented(made, AUGMENTATIONS[name], seed, geometric)


def synthetic(
    *, people: int, pictures: int, seed: int = 0, first_person: int = 0, head: str = "open"
) -> SyntheticFaces:
    """`kind: synthetic`: faces made when they are asked for; `head` as `load_head` takes it."""
    return SyntheticFaces(people, pictures, seed, first_person=first_person, head=load_head(head))


def stored(*, folder: Path) -> StoredFaces:
    """`kind: stored`: synthetic faces that were written to a folder."""
    return StoredFaces(folder)


_KINDS: Mapping[str, Callable[..., Faces]] = {
    "synthetic": synthetic, "stored": stored, "affectnet": affectnet, "afew_va": afew_va, "aff_wild2": aff_wild2,
    "vggface2": vggface2, "voxceleb2": voxceleb2, "codes": codes,
}  # fmt: skip
_KINDS_REMEDY = f"Kinds are {', '.join(_KINDS)}."
_EVERY_KIND = {
    "kind": str, "augmentation": AugmentationName, "augmentation_seed": int, "geometric": bool | None,
    "pictures_a_ring": int, "ring_seed": int,
}  # fmt: skip


def _one(settings: Settings) -> Faces:
    kind = _entry(settings)["kind"]
    given = dict(settings)
    about = {key: _value(str(kind), key, given.pop(key), hint) for key, hint in _EVERY_KIND.items() if key in given}
    made = _KINDS[kind](**_arguments(kind, given))
    made = augmented_dataset(made, about.get("augmentation", "none"), about.get("augmentation_seed", 0),
                             about.get("geometric"))  # fmt: skip
    return Rings(made, about["pictures_a_ring"], about.get("ring_seed", 0)) if "pictures_a_ring" in about else made


def _entry(settings: object) -> Settings:
    """The settings, if they are an entry of a known kind."""
    if not isinstance(settings, Mapping) or "kind" not in settings:
        raise _usage("A dataset is missing its key kind.", _KINDS_REMEDY)
    if settings["kind"] not in _KINDS:
        raise _usage(f"{settings['kind']!r} is no kind of dataset.", _KINDS_REMEDY)
    return settings


def _arguments(kind: str, given: Settings) -> dict[str, Any]:
    """What the kind's function is called with."""
    make = _KINDS[kind]
    hints = get_type_hints(make)
    parameters = inspect.signature(make).parameters
    for key in given:
        if key not in parameters:
            allowed = ", ".join([*parameters, *(name for name in _EVERY_KIND if name != "kind"), "weight"])
            raise _usage(f"A dataset of kind {kind} has no key {key!r}.", f"Its keys are {allowed}.")
    for name, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and name not in given:
            raise _usage(f"A dataset of kind {kind} is missing its key {name}.", f"Add {name} to the entry.")
    return {key: _value(kind, key, value, hints[key]) for key, value in given.items()}


def _value(kind: str, key: str, value: object, hint: Any) -> Any:
    """A value as the type that a function wants; numbers stay what they are."""
    origin, choices = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if value is None and type(None) in choices:
            return None
        return _value(kind, key, value, next(choice for choice in choices if choice is not type(None)))
    if origin is Literal:
        if value in choices:
            return value
        raise _usage(f"{key} of a dataset of kind {kind} cannot be {value!r}.", f"It can be {_listed(choices)}.")
    if origin is tuple and isinstance(value, list | tuple) and len(value) == len(choices):
        return tuple(_value(kind, key, each, choice) for each, choice in zip(value, choices, strict=True))
    if origin is not None:
        raise _usage(f"{key} of a dataset of kind {kind} cannot be {value!r}.", f"Give {len(choices)} numbers.")
    if hint is Path and isinstance(value, str | Path) and str(value):
        return Path(value).expanduser()
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, hint) and (hint is bool or not isinstance(value, bool)) and not (hint is int and value < 0):
        return value
    wanted = {int: "a whole number from 0", float: "a number", bool: "true or false", str: "a text", Path: "a path"}
    raise _usage(f"{key} of a dataset of kind {kind} cannot be {value!r}.", f"Give {wanted.get(hint, str(hint))}.")


def _weight(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise _usage(f"A dataset's weight cannot be {value!r}.", "Give a number from 0.")
    return float(value)


def _listed(choices: Sequence[object]) -> str:
    return " or ".join(str(choice) for choice in choices)


def _usage(message: str, remedy: str) -> MienError:
    return MienError(ErrorCode.USAGE, message, remedy)
