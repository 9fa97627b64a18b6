# SPDX-License-Identifier: GPL-3.0-or-later
"""What was seen of a clip comes back as it was, frame by frame, also after a cut-off end."""

from __future__ import annotations

import os

import numpy as np

from backend.faces.face import Face
from backend.faces.tracking import Sighting
from backend.store.observations import Observations, sighting, sighting_type


def random_sighting(random: np.random.Generator, track: int) -> Sighting:
    landmarks = random.uniform(0, 500, (478, 3)).astype(np.float32)
    face = Face(
        box=random.uniform(0, 500, 4).astype(np.float32),
        landmarks=landmarks,
        blendshapes=random.uniform(size=52).astype(np.float32),
        presence=float(np.float32(random.uniform())),
        spread=float(np.float32(random.uniform())),
    )
    appearance = random.normal(size=sighting_type()["appearance"].shape).astype(np.float32)
    return Sighting(track, face, np.float32(random.uniform()), appearance)


def same(one: Sighting, other: Sighting) -> bool:
    faces = zip(vars(one.face).values(), vars(other.face).values(), strict=True)
    return (
        (one.track, one.sharpness) == (other.track, other.sharpness)
        and np.array_equal(one.appearance, other.appearance)
        and all(np.array_equal(mine, theirs) for mine, theirs in faces)
    )


def filled(folder, counts=(2, 0, 1, 3)) -> tuple[Observations, list[list[Sighting]]]:
    random = np.random.default_rng(5)
    observations, seen = Observations(folder), []
    for row, count in enumerate(counts):
        seen.append([random_sighting(random, track) for track in range(count)])
        observations.append(10 + row, row / 25, row == 2, seen[-1])
    return observations, seen


def test_everything_comes_back(tmp_path):
    observations, seen = filled(tmp_path)
    frames = observations.frames()
    assert frames["index"].tolist() == [10, 11, 12, 13]
    assert frames["cut"].tolist() == [False, False, True, False]
    assert frames["time"].tolist() == [0, 1 / 25, 2 / 25, 3 / 25]
    read = [record for batch in observations.batches() for record in batch]
    assert [int(record["frame"]) for record in read] == [0, 0, 2, 3, 3, 3]
    flat = [item for frame in seen for item in frame]
    assert all(same(sighting(record), item) for record, item in zip(read, flat, strict=True))
    assert all(same(one, other) for one, other in zip(observations.last(), seen[-1], strict=True))


def test_chosen_sightings_come_in_their_order(tmp_path):
    observations, seen = filled(tmp_path)
    flat = [item for frame in seen for item in frame]
    places = np.array([0, 2, 3, 5])
    chosen = observations.read(places)
    assert all(same(sighting(record), flat[place]) for record, place in zip(chosen, places, strict=True))


def test_a_frame_that_was_not_finished_is_forgotten(tmp_path):
    observations, seen = filled(tmp_path)
    observations.close()
    os.truncate(tmp_path / "frames.bin", (tmp_path / "frames.bin").stat().st_size - 1)  # of the last frame
    again = Observations(tmp_path)
    assert len(again) == 3
    assert sum(len(batch) for batch in again.batches()) == 3
    again.append(13, 3 / 25, False, seen[3][:1])
    assert [item.track for item in again.last()] == [0]
    assert sum(len(batch) for batch in again.batches()) == 4


def test_frames_whose_sightings_are_damaged_are_forgotten(tmp_path):
    observations, seen = filled(tmp_path)
    observations.close()
    path = tmp_path / "sightings.bin"
    content = bytearray(path.read_bytes())
    content[len(content) * 9 // 12] ^= 1  # of the second sighting of the last frame
    path.write_bytes(content)
    again = Observations(tmp_path)
    assert again.frames()["index"].tolist() == [10, 11, 12]
    assert same(again.last()[0], seen[2][0])
    again.append(13, 3 / 25, False, seen[3])
    assert [item.track for item in again.last()] == [0, 1, 2]
    again.close()


def test_nothing_seen_yet(tmp_path):
    observations = Observations(tmp_path)
    assert len(observations) == 0
    assert observations.last() == []
    assert list(observations.batches()) == []
