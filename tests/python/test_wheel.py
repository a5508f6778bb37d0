"""What the wheel holds."""

import pathlib
from importlib import metadata

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["LICENSE-APACHE", "LICENSE-MIT"])
def test_the_wheel_holds_the_licences(name):
    held = [file for file in metadata.files("cnn-gpu") if file.name == name and ".dist-info" in str(file)]
    assert len(held) == 1
    text = (ROOT / name).read_text()
    assert held[0].read_text() == text
    # A copy, as a package has no files from outside its folder.
    assert (ROOT / "python" / name).read_text() == text
