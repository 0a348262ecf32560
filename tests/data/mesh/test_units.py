import pytest

from resect.data.mesh.units import expected_width_px, guess_units, judge_length, judge_size, parse_units
from resect.errors import ResectError
from resect.geometry import solids
from resect.geometry.camera import Camera

CAMERA = Camera(500.0, 500.0, 320.0, 240.0, 640, 480)


def test_units_are_words_or_numbers() -> None:
    assert [parse_units(u) for u in ("mm", "cm", "m", "in", "0.5")] == [0.001, 0.01, 1, 0.0254, 0.5]
    for wrong in ("miles", "0", "-1", "nan", "inf", ""):
        with pytest.raises(ResectError, match="mm, cm, m, in"):
            parse_units(wrong)


def test_sentences_about_sizes() -> None:
    assert guess_units(102.0) == "diameter 102: looks like millimetres"
    assert guess_units(0.19) == "diameter 0.19: looks like metres"
    assert "inches" in guess_units(42.0)
    assert "normalized" in guess_units(1.0)
    assert "no usual unit" in guess_units(1e7)
    assert "no usual unit" in guess_units(1e-6)


def test_lengths_that_cannot_be() -> None:
    assert judge_length(102.0, 0.001) == []
    assert "In millimetres" in judge_length(102.0, 1.0)[0].sentence
    assert "In metres" in judge_length(0.19, 0.001)[0].sentence
    assert "In" not in judge_length(1e9, 1.0)[0].sentence


def test_a_ball_is_as_wide_as_its_angle() -> None:
    ball = solids.icosphere(0.05)
    assert expected_width_px(ball, CAMERA, 1.0) == pytest.approx(50, rel=1e-3)
    with pytest.raises(ResectError, match="in front of the camera"):
        expected_width_px(ball, CAMERA, -1.0)


def test_a_box_that_does_not_fit_the_pose_is_said_out_loud() -> None:
    ball = solids.icosphere(50.0)  # millimetres
    box = (300.0, 200.0, 342.0, 240.0)
    assert judge_size(ball, CAMERA, 1200.0, box) is None
    at_metres = judge_size(ball, CAMERA, 1.2, box)
    assert at_metres is not None
    assert "41667 px wide, but its box is 42 px. As if millimetres were taken for metres" in at_metres.sentence
    near = judge_size(ball, CAMERA, 140.0, box)
    assert near is not None
    assert "357 px wide, but its box is 42 px" in near.sentence
    assert "taken for" not in near.sentence


def test_an_object_seen_end_on_or_half_hidden_is_not_spoken_of() -> None:
    pen = solids.box((0.01, 0.01, 0.15))
    end_on = (0.0, 0.0, 11.0, 11.0)
    assert judge_size(pen, CAMERA, 0.5, end_on) is None
    hidden = (0.0, 0.0, 4.0, 4.0)
    assert judge_size(pen, CAMERA, 0.5, hidden) is None
    assert judge_size(pen, CAMERA, 0.5, (0.0, 0.0, 400.0, 100.0)) is not None
    assert judge_size(pen, CAMERA, 0.5, (5.0, 5.0, 5.0, 5.0)) is None  # an empty box says nothing
