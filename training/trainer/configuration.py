# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run is: a YAML file, others that it extends, and changes on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.files import file_error
from training.stages.stage import OptimiserSettings
from training.trainer.filling import filled, wrong

StageName = Literal[
    "emotion-network", "emotion-mlp", "deca-coarse", "deca-detail", "emoca-coarse", "emoca-detail"
]  # fmt: skip
Precision = Literal["32-true", "16-mixed", "bf16-mixed"]

SHIPPED = Path(__file__).parents[1] / "configs"
_EXTENDS = "extends"
_LEAST = {
    "batch": 1, "epochs": -1, "steps": -1, "patience": 0, "validation_batches": 0, "workers": -1, "nodes": 1, "clip": 0,
    "log_every": 1, "pictures_every": 0, "save_every": 0,
}  # fmt: skip
_NO_STRATEGIES = ("spawn", "fork", "notebook")
"""Lightning's ways to begin processes that bring back the weights alone."""


@dataclass(frozen=True)
class TrainerSettings:
    """How long and on what.

    Attributes:
        batch: pictures (or rings) of a step, on each device.
        epochs: at most; -1 for no bound but the steps'.
        steps: at most; -1 for no bound but the epochs'.
        patience: validations without a better loss after which the run ends; 0 never ends it early.
        validate_every: share of an epoch between validations.
        validation_batches: of each validation; 0 for all.
        workers: processes that make batches on each device; -1 for one a core that is free there, and a quarter as many
            for the validation pictures.
        accelerator, devices, nodes, strategy: as lightning has them; `auto` takes what there is.
        precision: of the arithmetic.
        deterministic: whether the same seed gives the same weights on the same machine (slower on a GPU).
        clip: largest norm of the gradient; 0 for any.
        log_every: steps between logged losses.
        pictures_every: steps between logged pictures.
        save_every: steps between checkpoints of the last state, beside those after each epoch; 0 for those alone.
    """

    batch: int = 32
    epochs: int = 20
    steps: int = -1
    patience: int = 10
    validate_every: float = 1.0
    validation_batches: int = 0
    workers: int = -1
    accelerator: str = "auto"
    devices: int | str = "auto"
    nodes: int = 1
    strategy: str = "auto"
    precision: Precision = "32-true"
    deterministic: bool = False
    clip: float = 0.0
    log_every: int = 20
    pictures_every: int = 500
    save_every: int = 500

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise wrong(f"trainer.{name}", f"is {getattr(self, name)}", f"It is {least} or more.")
        if self.steps == 0 or self.epochs == 0:
            raise wrong("trainer.steps" if self.epochs else "trainer.epochs", "is 0", "Take -1 for no bound.")
        if self.steps == self.epochs == -1:
            raise wrong("trainer.epochs", "is -1, as are the steps", "Say when the run ends, in one of them.")
        if not 0 < self.validate_every <= 1:
            raise wrong("trainer.validate_every", f"is {self.validate_every}", "It is a share of an epoch, up to 1.")
        if any(way in self.strategy for way in _NO_STRATEGIES):
            reason = f"is {self.strategy}, which loses the state of a run that ends"
            raise wrong("trainer.strategy", reason, "Take ddp, which uses the same devices.")


@dataclass(frozen=True)
class DataSettings:
    """What is trained on and what is looked at between; entries as `training.datasets.choice` reads them."""

    train: Any
    validation: Any
    balanced: bool = False
    """Whether each class of emotion is drawn equally often."""
    augmentation: Literal["none", "emotion", "emoca"] = "none"


@dataclass(frozen=True)
class Configuration:
    """A run.

    Attributes:
        stage: what is trained.
        data: see there.
        seed: of weights, order and chances.
        head: `open`, or FLAME as `mien capture --head` names it.
        albedo: see `training.model.making.Albedo`.
        start: where parts begin, by name: a kind of the store (`deca`, `emoca:NAME`, `emotion_network`), or the path
            of a checkpoint. Parts that are not named begin at random.
        model: settings of the stage.
        optimiser: see there.
        trainer: see there.
    """

    stage: StageName
    data: DataSettings
    seed: int = 0
    head: str = "open"
    albedo: Literal["auto", "skins"] = "auto"
    start: Mapping[str, str] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    optimiser: OptimiserSettings = OptimiserSettings()
    trainer: TrainerSettings = TrainerSettings()

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**32:
            raise wrong("seed", f"is {self.seed}", "It is 0 or more, and below 2 to the power of 32.")


def read_configuration(
    source: str | Path, changes: Sequence[str] = (), stage: StageName | None = None
) -> tuple[Configuration, dict[str, Any]]:
    """A configuration, and the table it came from, complete.

    Args:
        source: path of a YAML file, or the name of a shipped one ("emoca_coarse").
        changes: `key.sub=value`, values as YAML has them; later ones win.
        stage: what is to be trained; the file's own by default.

    Raises:
        MienError: MISSING_FILE, NOT_PERMITTED; USAGE for what cannot be read or is no setting, naming it.
    """
    table = _table(Path(source), ())
    for change in changes:
        _change(table, change)
    if stage is not None and table.setdefault("stage", stage) != stage:
        message = f"{source} is for the stage {table['stage']}, not {stage}."
        raise MienError(ErrorCode.USAGE, message, f"Run 'mien train {table['stage']}', or take another configuration.")
    return filled(Configuration, table, ""), table


def shipped_configurations() -> tuple[str, ...]:
    """Names of the configurations that come with Mien."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.yaml")))


def _table(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    path = _found(path, above)
    try:
        table = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise file_error(path, error, "read") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise MienError(ErrorCode.USAGE, f"{path} is not YAML: {reason}.", "Correct the file.") from error
    if not isinstance(table, dict):
        raise MienError(ErrorCode.USAGE, f"{path} holds no table of settings.", "Begin with 'stage: ...'.")
    base = table.pop(_EXTENDS, None)
    return table if base is None else merged(_table(_beside(path, str(base)), (*above, path)), table)


def _found(path: Path, above: tuple[Path, ...]) -> Path:
    shipped = SHIPPED / f"{path.name}.yaml"
    if path.suffix != ".yaml" and path.suffix != ".yml" and not path.exists() and shipped.exists():
        path = shipped
    if path in above:
        raise MienError(ErrorCode.USAGE, f"{path} extends itself.", "Take the line 'extends' out of one of them.")
    if not path.exists():
        message = f"There is no configuration {path}."
        raise MienError(ErrorCode.MISSING_FILE, message, f"Shipped ones are: {', '.join(shipped_configurations())}.")
    return path


def _beside(path: Path, base: str) -> Path:
    beside = path.parent / base
    return beside if beside.exists() else beside.with_suffix(".yaml") if beside.with_suffix(".yaml").exists() \
        else Path(base)  # fmt: skip


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Two tables as one; where both have an entry that is no table, the one above wins, and null takes it away.

    So does a table that says what `kind` it is: a dataset has nothing of the one in whose place it stands.
    """
    result = dict(below)
    for name, value in above.items():
        if value is None:  # takes the entry below away
            result.pop(name, None)
            continue
        known = result.get(name)
        both = isinstance(known, Mapping) and isinstance(value, Mapping) and "kind" not in value
        result[name] = merged(known, value) if both else value  # type: ignore[arg-type]
    return result


def _change(table: dict[str, Any], change: str) -> None:
    name, sign, text = change.partition("=")
    if not sign or not all(name.split(".")):
        raise MienError(ErrorCode.USAGE, f"'{change}' changes no setting.", "Write it as key.sub=value.")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise wrong(name, f"cannot be read from {text!r}", "Write the value as in YAML.") from error
    *places, last = name.split(".")
    for place in places:
        inner = table.get(place)
        table[place] = dict(inner) if isinstance(inner, Mapping) else {}
        table = table[place]
    if value is None:
        table.pop(last, None)
    else:
        table[last] = value


STAGES: tuple[StageName, ...] = get_args(StageName)
