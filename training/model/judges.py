# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks that only say how alike two pictures are: VGGFace2's, and VGG-19. Frozen by whoever uses them."""

from __future__ import annotations

from backend.networks.resnet50 import ResNet50
from backend.networks.vgg import VGG19Features
from blender_addon.contract.errors import ErrorCode, MienError
from training.losses.identity import FaceFeatures
from training.model.starting import begin, weights

_PEOPLE = 8631
_VGG19_PREFIXES = ("perceptual_loss.featlayer.vgg19.", "vgg19.", "features.")
"""In EMOCA's checkpoints, in ours, and in torchvision's file."""


def face_recognition(source: str) -> FaceFeatures:
    """VGGFace2's ResNet-50 by the kind `face_recognition` of the store, or the path of `resnet50_ft_weight.pkl`.

    Raises:
        MienError: MISSING_FILE, BAD_WEIGHTS.
    """
    network = ResNet50("caffe", _PEOPLE)
    begin(network, weights(source), "", source)
    return FaceFeatures(network).eval()


def vgg19(source: str) -> VGG19Features:
    """VGG-19 by the path of torchvision's file, or of an EMOCA checkpoint that holds it.

    Raises:
        MienError: MISSING_FILE, BAD_WEIGHTS.
    """
    tensors = weights(source)
    for prefix in _VGG19_PREFIXES:
        if f"{prefix}0.weight" in tensors:
            network = VGG19Features()
            begin(network.vgg19, tensors, prefix, source)
            return network.eval()
    message = f"{source} is no VGG-19."
    raise MienError(ErrorCode.BAD_WEIGHTS, message, "Name torchvision's file of it (vgg19-dcbb9e9d.pth).")
