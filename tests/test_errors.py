"""Errors have four parts and suggest near names."""

import pytest

from resect.errors import NotInstalledError, ResectError, unknown_name


def test_four_parts_in_one_sentence() -> None:
    error = ResectError("poses.csv: line 3", "8 numbers", "7", "Write the file again.")
    assert str(error) == "poses.csv: line 3: expected 8 numbers, got 7. Write the file again."
    assert (error.where, error.expected, error.got, error.fix) == (
        "poses.csv: line 3",
        "8 numbers",
        "7",
        "Write the file again.",
    )
    assert str(ResectError("fov", "an angle", "none")) == "fov: expected an angle, got none."


def test_it_is_a_value_error_that_callers_can_catch() -> None:
    with pytest.raises(ValueError, match="got none"):
        raise ResectError("fov", "an angle", "none")


def test_near_names_are_suggested_and_far_ones_are_not() -> None:
    assert "Did you mean 'landmarks'?" in str(unknown_name("prior", "landmark", ["landmarks", "given"]))
    far = unknown_name("prior", "xyzzy", ["landmarks", "given"])
    assert far.fix == ""
    assert "one of given, landmarks" in str(far)


def test_a_missing_package_says_what_to_install() -> None:
    error = NotInstalledError("pillow-heif", "heic", "reading HEIC photos")
    assert isinstance(error, ImportError)
    assert isinstance(error, ResectError)
    assert "pip install 'resect[heic]'" in str(error)
    assert "reading HEIC photos" in str(error)


def test_of_many_names_some_are_told() -> None:
    many = str(unknown_name("instance", "chair_77x", [f"chair_{k:02d}" for k in range(100)]))
    assert "chair_77" in many
    assert "(100 in all)" in many
    assert len(many) < 500
