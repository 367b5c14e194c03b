"""A box turns as the picture does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpustack.io.write import oriented
from gpustack.model.layer import Box


@pytest.mark.parametrize("orientation", range(1, 9))
@given(data=st.data())
def test_a_box_turns_as_the_picture_does(orientation: int, data: st.DataObject) -> None:
    width, height = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    box = Box(left, top, data.draw(st.integers(1, width - left)), data.draw(st.integers(1, height - top)))
    picture = np.zeros((height, width), np.uint8)
    picture[box.rows, box.columns] = 1
    upright, turned = oriented(picture, orientation), box.turned(orientation, width, height)
    assert upright.sum() == box.pixels == turned.pixels
    assert upright[turned.rows, turned.columns].all()


def test_a_box_grows_as_far_as_the_picture_goes() -> None:
    assert Box(5, 1, 10, 4).grown(3, 17, 30) == Box(2, 0, 15, 8)
