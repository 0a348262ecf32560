"""Artefacts with what they were learned from in folders inside: scenes and priors do not know each other."""

from pathlib import Path
from typing import Any

from resect import zoo


def load_pose_decoder(folder: Path) -> Any:
    """A pose decoder with its teacher."""
    decoder = zoo.resolve("resect.scenes.pose_decoder.scene:PoseDecoder.load")(folder)
    return decoder.taught_by(zoo.load(Path(folder) / "teacher", role="prior"))


def load_relative(folder: Path) -> Any:
    """A relative pose regressor with its teacher and, where it has one, its pose decoder."""
    prior = zoo.resolve("resect.priors.relative.prior:Relative.load")(folder)
    teacher, inside = zoo.load(Path(folder) / "teacher", role="prior"), Path(folder) / "decoder"
    decoder = zoo.load(inside, role="scene") if (inside / "artifact.json").is_file() else None
    return prior.with_parents(teacher, decoder)


def load_object_frames(folder: Path) -> Any:
    """Frames of objects with the detector of them."""
    prior = zoo.resolve("resect.priors.object_frames.prior:ObjectFrames.load")(folder)
    return prior.with_detector(zoo.load(Path(folder) / "detector", role="prior"))


def load_image_decoder(folder: Path) -> Any:
    """An image decoder with its pose decoder."""
    made = zoo.resolve("resect.scenes.image_decoder.scene:ImageDecoder.load")(folder)
    return made.with_decoder(zoo.load(Path(folder) / "decoder", role="scene"))
