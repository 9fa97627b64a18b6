# SPDX-License-Identifier: GPL-3.0-or-later
"""The identity basis: principal components of many sampled heads.

Every sampled head is a linear combination of morph targets, so the principal components follow from the targets' Gram
matrix and the second moment of the sampled coefficients, without ever building a head. Components are taken apart
into mirror-symmetric and antisymmetric ones, which is what the components of a set closed under mirroring are.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .sources import Sources, Target
from .topology import HeadTopology

RACES = ("african", "asian", "caucasian")
GENDERS = ("female", "male")
AGES = ("baby", "child", "young", "old")
LEVELS = ("min", "average", "max")
AVERAGE_AGE = 2.15
"""Of baby 0, child 1, young 2, old 3."""

LOCAL_FOLDERS = ("head", "forehead", "eyebrows", "eyes", "nose", "mouth", "ears", "chin", "cheek", "neck")
_SKIPPED = ("head-trans-", "neck-trans-", "measure-neck-height", "head-age-")
"""Pure translations, and sliders that only repeat the macro ones."""

_PAIRS = (
    ("decr", "incr"), ("down", "up"), ("in", "out"), ("backward", "forward"), ("concave", "convex"),
    ("compress", "uncompress"),
)

LOCAL_SPREAD = 0.20
SIDE_SPREAD = 0.06
ASYMMETRY_SPREAD = 0.12


@dataclass(frozen=True)
class Macro:
    """A person's coarse traits: race (3,) sums to 1, gender 0 female .. 1 male, age, muscle and weight 0..2."""

    race: NDArray[np.float64]
    gender: float
    age: float
    muscle: float
    weight: float


AVERAGE = Macro(np.full(3, 1 / 3), 0.5, AVERAGE_AGE, 1.0, 1.0)


def _blend(value: float, names: tuple[str, ...]) -> dict[str, float]:
    """Weights of the two neighbouring steps of a scale."""
    step = min(int(value), len(names) - 2)
    return {names[step]: 1.0 - (value - step), names[step + 1]: value - step}


def macro_weights(macro: Macro) -> dict[str, float]:
    """Weights of the macro targets for a person (MakeHuman's products of traits)."""
    genders = {"female": 1.0 - macro.gender, "male": macro.gender}
    ages, muscles, weights = _blend(macro.age, AGES), _blend(macro.muscle, LEVELS), _blend(macro.weight, LEVELS)
    result: dict[str, float] = {}
    for (gender, g), (age, a) in itertools.product(genders.items(), ages.items()):
        for race, r in zip(RACES, macro.race, strict=True):
            result[f"{race}-{gender}-{age}"] = r * g * a
        for (muscle, m), (weight, w) in itertools.product(muscles.items(), weights.items()):
            result[f"universal-{gender}-{age}-{muscle}muscle-{weight}weight"] = g * a * m * w
    return result


def average_person(base_vertices: NDArray[np.float64], macro_targets: dict[str, Target]) -> NDArray[np.float64]:
    """Vertices (N,3) of the base mesh for the average person."""
    result = base_vertices.copy()
    for name, weight in macro_weights(AVERAGE).items():
        target = macro_targets[name]
        result[target.indices] += weight * target.offsets
    return result


@dataclass(frozen=True)
class Slider:
    """A local trait: a two-sided slider has a target for either direction, a one-sided one only ``positive``."""

    positive: str
    negative: str | None
    group: str
    """Sliders of the two sides of the face share their group."""
    spread: float


class HeadSampler:
    """Draws the morph-target coefficients of random people.

    Args:
        names: all target names (macro, local, asymmetry), the order of the coefficients.
        asymmetric: names of the asymmetry targets.
    """

    def __init__(self, names: list[str], asymmetric: set[str]) -> None:
        self._number = {name: k for k, name in enumerate(names)}
        macros = {n for n in names if n.startswith((*RACES, "universal-"))}
        self._sliders = _sliders([n for n in names if n not in macros], asymmetric)
        self._groups = sorted({s.group for s in self._sliders})

    def sample(self, count: int, seed: int) -> NDArray[np.float64]:
        """Draw ``count`` people; (count, targets) coefficients relative to the average person."""
        random = np.random.default_rng(seed)
        return np.stack([self._person(random) for _ in range(count)])

    def _person(self, random: np.random.Generator) -> NDArray[np.float64]:
        coefficients = np.zeros(len(self._number))
        macro = Macro(
            race=random.dirichlet(np.ones(3)),
            gender=float(random.beta(0.7, 0.7)),
            age=float(np.clip(random.normal(AVERAGE_AGE, 0.35), 1.5, 3.0)),
            muscle=float(np.clip(random.normal(1.0, 0.3), 0.0, 2.0)),
            weight=float(np.clip(random.normal(1.0, 0.3), 0.0, 2.0)),
        )
        for sign, person in ((1.0, macro), (-1.0, AVERAGE)):
            for name, weight in macro_weights(person).items():
                coefficients[self._number[name]] += sign * weight
        shared = dict(zip(self._groups, random.normal(0.0, LOCAL_SPREAD, len(self._groups)), strict=True))
        for slider, own in zip(self._sliders, random.standard_normal(len(self._sliders)), strict=True):
            value = shared[slider.group] + own * SIDE_SPREAD if slider.spread == 0 else own * slider.spread
            if value > 0:
                coefficients[self._number[slider.positive]] += value
            elif slider.negative is not None:
                coefficients[self._number[slider.negative]] -= value
        return coefficients


def _sliders(names: list[str], asymmetric: set[str]) -> list[Slider]:
    opposite = dict(_PAIRS)
    negatives = {other: first for first, other in _PAIRS}
    sliders = []
    for name in names:
        if name in asymmetric:
            sliders.append(Slider(name, None, name, ASYMMETRY_SPREAD))
            continue
        stem, _, last = name.rpartition("-")
        if last in opposite and f"{stem}-{opposite[last]}" in names:
            continue
        negative = f"{stem}-{negatives[last]}" if last in negatives else None
        sided = name.startswith(("l-", "r-"))
        sliders.append(Slider(name, negative, name[2:] if sided else name, 0.0 if sided else LOCAL_SPREAD))
    return sliders


@dataclass(frozen=True)
class IdentityData:
    """Morph targets on the head, ready for sampling.

    Attributes:
        directions: (targets, V*3) offsets in metres, the upper face's translation removed.
        joint_directions: (targets, J, 3) displacements of the joints under the targets, likewise.
        sampler: draws coefficients.
    """

    directions: NDArray[np.float64]
    joint_directions: NDArray[np.float64]
    sampler: HeadSampler


def collect_directions(
    sources: Sources, topology: HeadTopology, macro_targets: dict[str, Target], joint_cubes: list[NDArray[np.int64]]
) -> IdentityData:
    """Carry all identity targets over to the head.

    Args:
        sources: the wheel.
        topology: the head.
        macro_targets: the ``macrodetails`` targets.
        joint_cubes: base vertices whose mean is a joint.
    """
    asymmetric = {n: t for n, t in sources.targets("asym").items() if not n.startswith("asymm-")}
    targets = dict(macro_targets) | asymmetric
    for folder in LOCAL_FOLDERS:
        targets |= {n: t for n, t in sources.targets(folder).items() if not n.startswith(_SKIPPED)}
    names = sorted(targets)
    upper = _upper_face(topology)
    size = topology.matrix.shape[1]
    directions = np.empty((len(names), 3 * len(topology.template)))
    joints = np.empty((len(names), len(joint_cubes), 3))
    for k, name in enumerate(names):
        offsets = topology.offsets(targets[name])
        shift = offsets[upper].mean(axis=0)
        directions[k] = (offsets - shift).ravel()
        dense = np.zeros((size, 3))
        dense[targets[name].indices] = targets[name].offsets
        joints[k] = np.stack([dense[cube].mean(axis=0) for cube in joint_cubes]) - shift
    return IdentityData(directions, joints, HeadSampler(names, set(asymmetric)))


def _upper_face(topology: HeadTopology) -> NDArray[np.int64]:
    """Vertices of the face between the nose's tip and the forehead, which all heads are aligned by."""
    skin = topology.vertices_of("skin")
    points = topology.template[skin]
    return skin[(points[:, 1] > -0.02) & (points[:, 1] < 0.07) & (points[:, 2] > 0.05)]


@dataclass(frozen=True)
class IdentityBasis:
    """Components scaled by their standard deviation, and what the joints do under them.

    Attributes:
        components: (V,3,K) metres.
        joints: (J,3,K) metres.
    """

    components: NDArray[np.float64]
    joints: NDArray[np.float64]


def principal_components(
    data: IdentityData, topology: HeadTopology, count: int, people: int, seed: int
) -> IdentityBasis:
    """Principal components of sampled heads about the template.

    Args:
        data: the targets on the head.
        topology: the head.
        count: number of components.
        people: number of sampled heads.
        seed: of the sampling.
    """
    coefficients = data.sampler.sample(people, seed)
    moment = coefficients.T @ coefficients / people
    vertices = len(topology.template)
    mirrored = data.directions.reshape(-1, vertices, 3)[:, topology.mirror] * np.array([-1.0, 1.0, 1.0])
    mirrored = mirrored.reshape(len(data.directions), -1)
    swapped = data.joint_directions * np.array([-1.0, 1.0, 1.0])
    # Signs are told by the left half alone: mirrored vertices would tie.
    left = np.repeat(topology.template[:, 0] > 1e-6, 3)
    found = []
    for sign in (1.0, -1.0):
        half = 0.5 * (data.directions + sign * mirrored)
        joints = 0.5 * (data.joint_directions + sign * swapped)
        found.extend(_eigen(half, joints, moment, count, left))
    found.sort(key=lambda item: -item[0])
    chosen = found[:count]
    components = np.stack([c for _, c, _ in chosen], axis=-1).reshape(vertices, 3, count)
    return IdentityBasis(components, np.stack([j for _, _, j in chosen], axis=-1))


def _eigen(
    directions: NDArray[np.float64],
    joints: NDArray[np.float64],
    moment: NDArray[np.float64],
    count: int,
    telling: NDArray[np.bool_],
) -> list[tuple[float, NDArray[np.float64], NDArray[np.float64]]]:
    """The strongest components of directions.T @ c with E[c c^T] = moment: (variance, component, joints)."""
    values, vectors = np.linalg.eigh(moment)
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    gram = root.T @ (directions @ directions.T) @ root
    variances, mixing = np.linalg.eigh(gram)
    result = []
    for k in np.argsort(-variances)[:count]:
        # A component of unit variance in sample space: D^T root w has squared length = its variance.
        target_weights = root @ mixing[:, k]
        component = target_weights @ directions
        sign = np.sign(component[np.argmax(np.abs(component) * telling)])
        result.append((float(variances[k]), sign * component, sign * np.tensordot(target_weights, joints, axes=1)))
    return result
