# SPDX-License-Identifier: GPL-3.0-or-later
"""What users may do with the files they bring, where they get them, and what each adds. No legal advice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from backend.weights.parts import PartKind
from blender_addon.contract.head import CommercialUse

_FLAME = "https://flame.is.tue.mpg.de"
_EMOCA = "https://emoca.is.tue.mpg.de"
_DECA = "https://github.com/yfeng95/DECA"
_SMIRK = "https://github.com/georgeretsi/smirk"
_MICA = "https://github.com/Zielon/MICA"
_VGGFACE2 = "https://github.com/cydonia999/VGGFace2-pytorch"
_LIPS = "https://github.com/mpc001/Visual_Speech_Recognition_for_Multiple_Languages"
_MPI = "Max Planck licence, non-commercial research, education and art"


@dataclass(frozen=True)
class Entry:
    """A kind of part.

    Attributes:
        title: For people.
        licence: Its name; what it says in a few words.
        commercial_use: What it says.
        where: Address at which one registers for it or finds it.
        adds: What one gets with it.
        file: The usual name of the file.
    """

    title: str
    licence: str
    commercial_use: CommercialUse
    where: str
    adds: str
    file: str


LEDGER: Mapping[PartKind, Entry] = MappingProxyType(
    {
        "flame2020": Entry(
            "FLAME 2020", "FLAME 2020, non-commercial research", "no", _FLAME,
            "the head that DECA, EMOCA and SMIRK capture on", "FLAME2020.zip",
        ),
        "flame2023": Entry(
            "FLAME 2023", "FLAME 2023, non-commercial research", "no", _FLAME,
            "a newer head for the landmark fit", "FLAME2023.zip",
        ),
        "flame2023_open": Entry(
            "FLAME 2023 Open", "CC-BY-4.0", "yes", _FLAME,
            "a scanned head for the landmark fit that may be used commercially", "FLAME2023Open.zip",
        ),
        "head_template": Entry(
            "FLAME's UV layout", _MPI, "no", _DECA, "textures and wrinkles in place on FLAME heads",
            "head_template.obj",
        ),
        "landmark_embedding": Entry(
            "FLAME's landmarks", _MPI, "no", _DECA, "what DECA, EMOCA and SMIRK are placed in the picture by",
            "landmark_embedding.npy",
        ),
        "mediapipe_embedding": Entry(
            "FLAME's MediaPipe landmarks", _MPI, "no", _FLAME, "the published landmarks for MediaPipe on FLAME heads",
            "mediapipe_landmark_embedding.npz",
        ),
        "eyelids": Entry(
            "Eyelids for FLAME", _MPI, "no", _SMIRK, "blinks and half-closed eyes of SMIRK on FLAME heads",
            "l_eyelid.npy and r_eyelid.npy",
        ),
        "flame_masks": Entry(
            "FLAME's regions", "FLAME's pages, terms not known to Mien", "unclear", _FLAME,
            "regions of FLAME heads by name", "FLAME_masks.pkl",
        ),
        "albedo_space": Entry(
            "Albedo space for FLAME", "Basel Face Model or FLAME texture space, non-commercial", "no", _FLAME,
            "skin colours of FLAME heads", "FLAME_albedo_from_BFM.npz or FLAME_texture.npz",
        ),
        "texture_data": Entry(
            "DECA's dense mesh", _MPI, "no", _DECA, "wrinkles as a dense mesh", "texture_data_256.npy",
        ),
        "fixed_displacement": Entry(
            "DECA's fixed displacement", _MPI, "no", _DECA, "the part of the wrinkles that all heads share",
            "fixed_displacement_256.npy",
        ),
        "uv_masks": Entry(
            "DECA's UV masks", _MPI, "no", _DECA, "wrinkles that end at the rim of the face", "uv_face_eye_mask.png",
        ),
        "deca": Entry("DECA's networks", _MPI, "no", _DECA, "the engine deca", "deca_model.tar"),
        "emoca": Entry(
            "EMOCA's networks", _MPI, "no", _EMOCA, "the engine emoca", "EMOCA_v2_lr_mse_20 (its folder or zip)",
        ),
        "smirk": Entry(
            "SMIRK's networks", "MIT for the code; weights without a licence text, trained with research-only models",
            "unclear", _SMIRK, "the engine smirk", "SMIRK_em1.pt",
        ),
        "mica": Entry("MICA's networks", _MPI, "no", _MICA, "an identity in metric size", "mica.tar"),
        "emotion_network": Entry(
            "Emotion network", f"{_MPI}; trained on AffectNet. One that you trained: as what it was trained on", "no",
            _EMOCA, "the emotion of each frame",
            "ResNet50 (its folder or zip)",
        ),
        "emotion_mlp": Entry(
            "EMOCA's emotion network on head parameters", _MPI + "; trained on AffectNet", "no", _EMOCA,
            "the emotion of each frame out of the captured head", "EMOCA-emorec (its folder or zip)",
        ),
        "face_recognition": Entry(
            "VGGFace2's face network", "VGGFace2, research", "unclear", _VGGFACE2,
            "what the training of EMOCA compares", "resnet50_ft_weight.pkl",
        ),
        "lip_reading": Entry(
            "The lip reader of LRS3", "non-commercial use, for comparison; trained on LRS3", "no", _LIPS,
            "what the training of EMOCA v2 compares of mouths", "LRS3_V_WER32.3 (its zip, or model.pth)",
        ),
    }
)  # fmt: skip
"""By kind. Licences as their texts read in the publishers' repositories and pages."""

_VARIANTS = {"left": "left", "right": "right", "face": "face", "face_eye": "face and eyes", "bfm": "Basel Face Model",
             "flame": "FLAME's own", "female": "female", "male": "male", "no_jaw": "without jaw",
             "emoca": "out of an EMOCA checkpoint"}  # fmt: skip


def title(kind: PartKind, name: str = "") -> str:
    """A part for people: its kind, and which one where there may be several."""
    shown = _VARIANTS.get(name, name)
    return f"{LEDGER[kind].title} ({shown})" if name else LEDGER[kind].title
