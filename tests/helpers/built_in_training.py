"""A small recipe of the built-in network, with a teacher that is no network."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.helpers.pictures import disc, photo
from tools.builtin_training import pool, teacher


class FakeTeacher:
    """Depth from brightness, features from colour."""

    def label(self, rgb):
        small = cv2.resize(rgb, (7, 7), interpolation=cv2.INTER_AREA).astype(np.int16)
        features = np.repeat(small, 171, axis=2)[..., :512] - 128
        return rgb[..., 0], features.astype(np.int8)


@pytest.fixture
def recipe(tmp_path, monkeypatch) -> pool.Recipe:
    from tools.rooms.dataset import pair_names

    (tmp_path / "rooms").mkdir()
    photos, cutouts = [], []
    for i in range(3):
        rgb, depth = (str(tmp_path / "rooms" / name) for name in pair_names(i))
        cv2.imwrite(rgb, photo(i, 64, 48))
        cv2.imwrite(depth, photo(9 + i, 64, 48)[..., 0].astype(np.uint16) * 20 + 300)
        photos.append(str(tmp_path / f"photo{i}.png"))
        cutouts.append(str(tmp_path / f"cut{i}.png"))
        cv2.imwrite(photos[-1], photo(20 + i))
        cv2.imwrite(cutouts[-1], disc(i))
    monkeypatch.setattr(teacher, "load", lambda path: FakeTeacher())
    return pool.Recipe(str(tmp_path / "rooms"), 3, tuple(photos), tuple(cutouts), "fake", 0, 3, 4)
