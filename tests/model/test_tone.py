"""The algebra of tones."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gpustack.model.tone import AS_IT_IS, Tone

COLOURED = Tone((1.1, 0.9, 1.2), (0.01, -0.02, 0.0))


def test_a_tone_is_a_number_for_all_colours_or_three() -> None:
    assert Tone.of(1.5) == Tone((1.5,), (0.0,))
    assert Tone.of([1, 2, 3], 0.1) == Tone((1.0, 2.0, 3.0), (0.1,))
    for gain, offset in (([1, 2], 0), (1, [1, 2, 3, 4]), ([], 0), ([[1, 2, 3]], 0), ("bright", 0)):
        with pytest.raises(ValueError, match=r"number|convert"):
            Tone.of(gain, offset)  # type: ignore[arg-type]


@pytest.mark.parametrize("tone", [AS_IT_IS, Tone.of(0.7, 0.1), COLOURED])
def test_the_inverse_undoes_it(tone: Tone) -> None:
    for neutral in (tone.after(tone.inverse()), tone.inverse().after(tone)):
        np.testing.assert_allclose(neutral.gain, 1)
        np.testing.assert_allclose(neutral.offset, 0, atol=1e-12)


def test_one_tone_after_another() -> None:
    first, value = Tone.of(1.3, 0.05), 0.4
    both = COLOURED.after(first)
    wanted = np.array(COLOURED.gain) * (1.3 * value + 0.05) + COLOURED.offset
    np.testing.assert_allclose(np.array(both.gain) * value + both.offset, wanted)
    assert AS_IT_IS.after(first) == first


def test_channels_have_the_tone_of_their_colour_and_alpha_none() -> None:
    assert Tone.of(2.0, 0.5).of_channels(2) == ((2.0, 1.0), (0.5, 0.0))
    assert COLOURED.of_channels(4) == ((*COLOURED.gain, 1.0), (*COLOURED.offset, 0.0))
    gray = COLOURED.of_channels(1)
    np.testing.assert_allclose(gray, [[1.1 * 0.299 + 0.9 * 0.587 + 1.2 * 0.114], [0.00299 - 0.01174]])
    assert Tone((1.0,) * 3, (0.0,) * 3).of_channels(1) == ((1.0,), (0.0,))


def test_plain_values_say_the_same() -> None:
    for tone in (AS_IT_IS, Tone.of(1.1), COLOURED, Tone((1.0, 2.0, 3.0))):
        assert Tone.of(**json.loads(json.dumps(tone.as_dict()))) == tone
    assert COLOURED.as_dict() == {"gain": [1.1, 0.9, 1.2], "offset": [0.01, -0.02, 0.0]}
    assert AS_IT_IS.as_dict() == {"gain": 1.0, "offset": 0.0}
