# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for the losses whatever the numbers: zero at the truth, stated reductions, gradients that are finite."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from backend.networks.emotion import readout
from backend.networks.resnet50 import ResNet50
from backend.networks.vgg import VGG19Features
from tests.seeded_networks import seeded
from training.losses import agreement, detail, emotion, landmarks, mediapipe, mrf, regularisers
from training.losses.identity import FaceFeatures, identity_loss
from training.losses.photometric import photometric_loss


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


POINTWISE: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], tuple[int, ...], tuple[int, ...]]] = {
    "landmarks": (landmarks.landmark_loss, (3, 68, 2), (3, 68, 2)),
    "weighted landmarks": (lambda a, b: landmarks.landmark_loss(a, b, landmarks.WEIGHTS), (3, 68, 2), (3, 68, 2)),
    "eyes": (landmarks.eye_closure_loss, (3, 68, 2), (3, 68, 2)),
    "lips": (landmarks.lip_closure_loss, (3, 68, 2), (3, 68, 2)),
    "corners": (landmarks.mouth_corner_loss, (3, 68, 2), (3, 68, 2)),
    "MediaPipe": (mediapipe.landmark_loss, (3, 105, 2), (3, 478, 3)),
    "MediaPipe eyes": (lambda a, b: mediapipe.eye_closure_loss(a, b, "anatomical"), (3, 105, 2), (3, 478, 3)),
    "MediaPipe lips": (mediapipe.lip_closure_loss, (3, 105, 2), (3, 478, 3)),
    "MediaPipe corners": (mediapipe.mouth_corner_loss, (3, 105, 2), (3, 478, 3)),
    "photometric": (lambda a, b: photometric_loss(a, b, torch.ones(3, 1, 8, 8)), (3, 3, 8, 8), (3, 3, 8, 8)),
    "photometric in the mask": (
        lambda a, b: photometric_loss(a, b, torch.ones(3, 1, 8, 8), "mask"), (3, 3, 8, 8), (3, 3, 8, 8),
    ),
    "emotion": (emotion.feature_loss, (3, 16), (3, 16)),
    "emotion L1": (lambda a, b: emotion.feature_loss(a, b, "l1"), (3, 16), (3, 16)),
    "emotion cosine": (lambda a, b: emotion.feature_loss(a, b, "cosine"), (3, 16), (3, 16)),
    "identity": (identity_loss, (3, 16), (3, 16)),
    "symmetry": (lambda a, b: detail.symmetry_loss(a, b.clamp(0, 1).round()), (2, 1, 16, 16), (2, 1, 16, 16)),
    "MRF": (mrf.layer_loss, (2, 8, 6, 7), (2, 8, 6, 7)),
}  # fmt: skip
ALONE: dict[str, tuple[Callable[[Tensor], Tensor], tuple[int, ...]]] = {
    "codes": (regularisers.code_loss, (3, 50)),
    "light": (regularisers.light_loss, (3, 9, 3)),
    "displacement": (detail.displacement_loss, (2, 1, 16, 16)),
    "smoothness": (detail.smoothness_loss, (2, 3, 16, 16)),
}
DEGENERATE = {"random": lambda *shape: random(*shape), "zero": torch.zeros, "constant": torch.ones}


def check_gradient(loss: Tensor, inputs: Tensor) -> None:
    assert loss.dim() == 0
    assert loss.isfinite()
    (gradient,) = torch.autograd.grad(loss, inputs)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("kind", DEGENERATE)
@pytest.mark.parametrize("name", POINTWISE)
def test_gradients_are_finite(name: str, kind: str) -> None:
    loss, ours, theirs = POINTWISE[name]
    predicted = DEGENERATE[kind](*ours).requires_grad_()
    for truth in (random(*theirs, seed=1), torch.zeros(theirs), torch.ones(theirs)):
        check_gradient(loss(predicted, truth), predicted)


@pytest.mark.parametrize("kind", DEGENERATE)
@pytest.mark.parametrize("name", ALONE)
def test_gradients_of_regularisers_are_finite(name: str, kind: str) -> None:
    loss, shape = ALONE[name]
    inputs = DEGENERATE[kind](*shape).requires_grad_()
    check_gradient(loss(inputs), inputs)


@pytest.mark.parametrize("name", sorted(set(POINTWISE) - {"MRF", "symmetry"}))
def test_the_truth_has_no_loss_and_descent_leads_towards_it(name: str) -> None:
    loss, ours, theirs = POINTWISE[name]
    truth = random(*theirs, seed=1)
    goal = mediapipe.embedded(truth)[..., :2] if theirs == (3, 478, 3) else truth
    assert loss(goal, truth).item() == pytest.approx(0, abs=1e-6)
    predicted = (goal + 0.3 * random(*ours)).requires_grad_()
    (gradient,) = torch.autograd.grad(loss(predicted, truth), predicted)
    step = 1e-3 / gradient.norm()
    assert loss(predicted - step * gradient, truth) < loss(predicted, truth)


def test_hidden_landmarks_count_nothing() -> None:
    truth = torch.cat((random(2, 68, 2), torch.ones(2, 68, 1)), -1)
    truth[:, 30:, 2] = 0
    predicted = random(2, 68, 2, seed=1)
    moved = predicted.clone()
    moved[:, 30:] += 5
    assert torch.equal(landmarks.landmark_loss(predicted, truth), landmarks.landmark_loss(moved, truth))
    truth[..., 2] = 0
    predicted.requires_grad_()
    loss = landmarks.landmark_loss(predicted, truth, landmarks.WEIGHTS)
    assert loss == 0
    check_gradient(loss, predicted)


def test_relative_losses_do_not_mind_where_the_face_is() -> None:
    truth, predicted, shift = random(2, 68, 2), random(2, 68, 2, seed=1), torch.tensor([0.4, -0.2])
    for loss in (landmarks.eye_closure_loss, landmarks.lip_closure_loss, landmarks.mouth_corner_loss):
        torch.testing.assert_close(loss(predicted + shift, truth), loss(predicted, truth))


def test_anatomical_pairs_see_a_closed_eye_and_the_published_ones_do_not() -> None:
    """With each lid point on its partner the anatomical distances are 0; the published pairs join other points."""
    landmarks478 = random(1, 478, 2)
    for row in mediapipe.LIDS["anatomical"].tolist():
        upper, lower = (mediapipe.EMBEDDED[index] for index in row)
        landmarks478[:, upper] = landmarks478[:, lower]
    points = mediapipe.embedded(landmarks478)
    apart = {
        name: (points[:, pairs[:, 0]] - points[:, pairs[:, 1]]).norm(dim=-1).max()
        for name, pairs in mediapipe.LIDS.items()
    }
    assert apart["anatomical"] == 0
    assert apart["published"] > 0.5
    for pairs in mediapipe.LIDS.values():
        assert pairs.flatten().unique().numel() == 28


def test_photometric_normalisations() -> None:
    render, photo, mask = random(2, 3, 4, 4), random(2, 3, 4, 4, seed=1), torch.zeros(2, 1, 4, 4)
    assert photometric_loss(render, photo, mask, "mask") == 0
    mask[:, :, :2] = 1
    image, masked = photometric_loss(render, photo, mask), photometric_loss(render, photo, mask, "mask")
    torch.testing.assert_close(masked, 2 * image)
    torch.testing.assert_close(masked, (render - photo)[:, :, :2].abs().mean())


def test_code_loss_is_summed_over_the_batch() -> None:
    codes = random(4, 10)
    torch.testing.assert_close(regularisers.code_loss(codes.repeat(2, 1)), 2 * regularisers.code_loss(codes))


def test_white_light_has_no_loss() -> None:
    assert regularisers.light_loss(random(2, 9, 1).expand(-1, -1, 3)).item() == pytest.approx(0, abs=1e-12)


def readable_mrf(generated: np.ndarray, target: np.ndarray) -> float:
    """ID-MRF as it is described, one pair of places at a time."""
    total = 0.0
    for g, t in zip(generated, target, strict=True):
        mean = t.mean(0, keepdims=True)
        places, patches = ((x - mean).reshape(len(x), -1).T for x in (g, t))
        places, patches = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (places, patches))
        best = np.zeros(len(patches))
        for place in places:
            distance = (1 - patches @ place) / 2
            share = np.exp((1 - distance / (distance.min() + 1e-5)) / 0.5)
            best = np.maximum(best, share / share.sum())
        total -= np.log(best.mean())
    return total


def test_mrf_is_what_is_described() -> None:
    generated, target = random(2, 6, 4, 5).double(), random(2, 6, 4, 5, seed=1).double()
    expected = readable_mrf(generated.numpy(), target.numpy())
    assert mrf.layer_loss(generated, target).item() == pytest.approx(expected, rel=1e-9)


def test_mrf_counts_the_deeper_layer_twice() -> None:
    one, other = random(1, 8, 6, 6), random(1, 8, 6, 6, seed=1)
    shallow, deep = mrf.layer_loss(one, other), mrf.layer_loss(other, one)
    torch.testing.assert_close(mrf.mrf_loss((one, other), (other, one)), shallow + 2 * deep)


def test_mrf_through_the_network_has_finite_gradients_on_flat_pictures() -> None:
    network = seeded(VGG19Features()).requires_grad_(False)
    for picture in (torch.full((1, 3, 32, 32), 0.5), torch.zeros(1, 3, 32, 32)):
        render = picture.clone().requires_grad_()
        check_gradient(mrf.mrf_loss(network(render), network(picture)), render)


def test_identity_features_see_the_middle_in_bgr() -> None:
    class Echo(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x

    crop = torch.zeros(1, 3, 224, 224)
    crop[:, 0] = 1.0
    seen = FaceFeatures(Echo())(crop)
    assert seen.shape == crop.shape
    expected = torch.tensor([-91.4953, -103.8827, 255 - 131.0912]) * 2 - 1
    torch.testing.assert_close(seen[0, :, 100, 100], expected)
    crop[:, :, :10] = 0.5
    assert torch.equal(FaceFeatures(Echo())(crop), seen)


def test_identity_of_a_crop_with_itself() -> None:
    features = FaceFeatures(seeded(ResNet50("caffe"))).eval()
    crop = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert identity_loss(features(crop), features(crop)).item() == pytest.approx(0, abs=1e-5)


def test_a_symmetric_displacement_and_a_visible_one_have_no_symmetry_loss() -> None:
    displacement = random(1, 1, 16, 16)
    assert detail.symmetry_loss(displacement + displacement.flip(-1), torch.zeros(1, 1, 16, 16)) == 0
    hidden = detail.symmetry_loss(displacement, torch.zeros(1, 1, 16, 16))
    torch.testing.assert_close(hidden, (displacement - displacement.flip(-1)).abs().sum())
    seen = detail.symmetry_loss(displacement, torch.ones(1, 1, 16, 16))
    assert 0 < seen < hidden, "the border is eroded"


@pytest.mark.parametrize("measure", [agreement.pcc, agreement.ccc])
def test_agreement_at_its_ends(measure: Callable[[Tensor, Tensor], Tensor]) -> None:
    truth = random(20)
    assert measure(truth, truth).item() == pytest.approx(1)
    assert measure(-truth, truth - 2 * truth.mean()).item() == pytest.approx(-1)
    for predicted in (torch.zeros(20), torch.zeros(1)):
        predicted.requires_grad_()
        value = measure(predicted, truth[: len(predicted)])
        assert value.item() == pytest.approx(0, abs=1e-5)
        check_gradient(value, predicted)


def test_concordance_minds_scale_and_offset_and_correlation_does_not() -> None:
    truth = random(50)
    assert agreement.pcc(3 * truth + 1, truth).item() == pytest.approx(1)
    assert agreement.ccc(3 * truth + 1, truth).item() < 0.7


def test_features_of_the_photo_have_no_gradient() -> None:
    render, photo = random(2, 8).requires_grad_(), random(2, 8, seed=1).requires_grad_()
    for metric in ("l2", "l1", "cosine"):
        emotion.feature_loss(render, photo, metric).backward()
    assert photo.grad is None
    assert render.grad is not None


def emotion_truth(label: list[int]) -> emotion.EmotionTruth:
    return emotion.EmotionTruth(torch.tensor(label), random(len(label), seed=2), random(len(label), seed=3))


def test_shaken_weights_sum_to_one_and_change() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = emotion.shaken(4, generator), emotion.shaken(4, generator)
    assert first.sum().item() == pytest.approx(1)
    assert (first >= 0).all()
    assert not torch.allclose(first, second)
    assert torch.equal(emotion.shaken(4, torch.Generator().manual_seed(0)), first)


def test_expression_loss_is_the_mean_over_labelled_faces() -> None:
    outputs = random(4, 10)
    logits = outputs[:, :8]
    found = readout(outputs)
    expected = torch.nn.functional.cross_entropy(logits[[0, 2]], torch.tensor([3, 7]))
    torch.testing.assert_close(
        emotion.expression_loss(found.log_probabilities, torch.tensor([3, -1, 7, -1])), expected
    )
    assert emotion.expression_loss(found.log_probabilities, torch.full((4,), -1)) == 0


def summed(outputs: torch.Tensor, truth: emotion.EmotionTruth, weights: torch.Tensor | None = None) -> torch.Tensor:
    terms = emotion.emotion_terms(readout(outputs), truth, weights)
    return terms["expression"] + terms["valence_arousal"]


def test_emotion_terms_are_their_parts_weighed_and_flow() -> None:
    outputs, truth = random(4, 10).requires_grad_(), emotion_truth([0, 1, 2, 3])
    terms = emotion.valence_arousal_losses(readout(outputs), truth)
    weights = torch.tensor([0.1, 0.2, 0.3, 0.4])
    loss = summed(outputs, truth, weights)
    expected = emotion.expression_loss(readout(outputs).log_probabilities, truth.label) + sum(
        weight * terms[name] for weight, name in zip(weights, emotion.VALENCE_AROUSAL_TERMS, strict=True)
    )
    torch.testing.assert_close(loss, expected)
    check_gradient(loss, outputs)
    columns = zip(outputs.detach()[:, 8:].T.numpy(), (truth.valence, truth.arousal), strict=True)
    correlation = np.mean([np.corrcoef(found, right)[0, 1] for found, right in columns])
    assert terms["pcc"].item() == pytest.approx(1 - correlation, abs=1e-5)


def test_faces_without_valence_and_arousal_count_for_their_class_alone() -> None:
    outputs, truth = random(4, 10).requires_grad_(), emotion_truth([0, 1, 2, 3])
    missing = truth.valence.clone()
    missing[1] = torch.nan
    found = emotion.emotion_terms(readout(outputs), emotion.EmotionTruth(truth.label, missing, truth.arousal))
    kept = [0, 2, 3]
    known = emotion.EmotionTruth(truth.label[kept], truth.valence[kept], truth.arousal[kept])
    rated = emotion.emotion_terms(readout(outputs[kept]), known)
    for name in (*emotion.VALENCE_AROUSAL_TERMS, "valence_arousal"):
        torch.testing.assert_close(found[name], rated[name])
    assert found["expression"] == emotion.expression_loss(readout(outputs).log_probabilities, truth.label)
    unrated = emotion.EmotionTruth(truth.label, torch.full((4,), torch.nan), truth.arousal)
    assert emotion.emotion_terms(readout(outputs), unrated)["valence_arousal"] == 0
    check_gradient(summed(outputs, unrated), outputs)


def test_a_batch_of_one_trains_too() -> None:
    outputs = random(1, 10).requires_grad_()
    check_gradient(summed(outputs, emotion_truth([5]), emotion.shaken(4)), outputs)
