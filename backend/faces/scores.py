# SPDX-License-Identifier: GPL-3.0-or-later
"""The 52 blendshape scores from landmarks: MediaPipe's small network, computed here for landmarks of any origin.

The landmarker's graph computes them for its own landmarks only. The network is an MLP mixer (Tolstikhin et al. 2021)
over 146 of the landmarks, in the plane: 96 tokens of 64 channels and one more for the answer, four blocks, each mixing
the tokens and then the channels behind a layer norm without an offset. Its weights lie in the landmarker's bundle.
"""

from __future__ import annotations

import re

import numpy as np

from backend.faces import tflite

MEMBER = "face_blendshapes.tflite"
"""Member of the task bundle that holds the network."""

# fmt: off
INPUT_LANDMARKS = np.array([
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80,
    81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153,
    154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251,
    263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314,
    317, 318, 321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384,
    385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473, 474, 475,
    476, 477,
])
# fmt: on
"""(146,) which landmarks the network sees."""
BLOCKS = 4


class ScoreNetwork:
    """Blendshape scores of landmarks.

    Args:
        model: Content of `MEMBER`.

    Raises:
        ValueError: When it holds another network.
    """

    def __init__(self, model: bytes) -> None:
        weights = tflite.constants(model)

        def one(pattern: str) -> np.ndarray:
            found = [values for name, values in weights.items() if re.search(pattern, name)]
            if len(found) != 1:
                raise ValueError(f"{len(found)} tensors match {pattern}")
            return found[0]

        def layer(pattern: str) -> tuple[np.ndarray, np.ndarray]:
            # The name of an operation that was fused with the one before may trail behind its own, after a semicolon.
            kernel, bias = one(rf"{pattern}/Conv2D(;|$)"), one(rf"{pattern}/BiasAdd/ReadVariableOp(;|$)")
            return np.ascontiguousarray(kernel.reshape(len(bias), -1)), bias

        self._tokens = layer("GhumMarkerPoserMlpMixerGeneral/conv2d")
        self._channels = layer("input_tokens_embedding")
        self._extra = one("AddExtraTokens/strided_slice_1$").reshape(1, -1)
        self._blocks = [
            tuple(
                (one(rf"MixerBlock_{block}/layer_norm{norm}/batchnorm/mul/ReadVariableOp$"),
                 layer(rf"MixerBlock_{block}/mlp_{kind}_mixing/Mlp_1"),
                 layer(rf"MixerBlock_{block}/mlp_{kind}_mixing/Mlp_2"))
                for norm, kind in ((1, "token"), (2, "channel"))
            )
            for block in range(BLOCKS)
        ]  # fmt: skip
        self._epsilon = float(one("MixerBlock_0/layer_norm1/batchnorm/add/y$"))
        self._answer = layer("output_blendweights")

    def __call__(self, landmarks: np.ndarray) -> np.ndarray:
        """Scores of upright faces.

        Args:
            landmarks: (B,478,>=2) in any unit, x right, y down; the heads' roll must have been taken out.

        Returns:
            (B,52) float32 in [0,1] in the order of `topology.BLENDSHAPE_NAMES`.
        """
        points = np.asarray(landmarks)[:, INPUT_LANDMARKS, :2]
        points = points - points.mean(axis=1, keepdims=True)
        size = np.linalg.norm(points, axis=2).mean(axis=1)
        points = (0.5 * points / size[:, None, None]).astype(np.float32)
        return np.stack([self._one(face) for face in points])

    def _one(self, points: np.ndarray) -> np.ndarray:
        kernel, bias = self._tokens
        tokens = kernel @ points + bias[:, None]
        kernel, bias = self._channels
        tokens = np.concatenate([self._extra, tokens @ kernel.T + bias])
        for (token_gain, token_in, token_out), (channel_gain, channel_in, channel_out) in self._blocks:
            mixed = self._normalised(tokens, token_gain)
            mixed = np.maximum(token_in[0] @ mixed + token_in[1][:, None], 0)
            tokens = tokens + token_out[0] @ mixed + token_out[1][:, None]
            mixed = self._normalised(tokens, channel_gain)
            mixed = np.maximum(mixed @ channel_in[0].T + channel_in[1], 0)
            tokens = tokens + mixed @ channel_out[0].T + channel_out[1]
        kernel, bias = self._answer
        return 1 / (1 + np.exp(-(kernel @ tokens[0] + bias)))

    def _normalised(self, tokens: np.ndarray, gain: np.ndarray) -> np.ndarray:
        centred = tokens - tokens.mean(axis=1, keepdims=True)
        variance = np.einsum("tc,tc->t", centred, centred) / centred.shape[1]
        return centred * (1 / np.sqrt(variance + self._epsilon))[:, None] * gain
