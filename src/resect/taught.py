"""Artefacts with what they were learned from in folders inside: scenes and priors do not know each other."""

from pathlib import Path
from typing import Any

from resect import artifact, zoo
from resect.errors import ResectError


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


def framed(prior: Any, place: Path, folder: Path) -> Any:
    """A detector of objects as a prior of a place, by the frames that its objects have there; others as they are."""
    if not hasattr(prior, "detect"):
        return prior
    frames = place / "priors" / "object-frames"
    there = (frames / "detector" / "artifact.json").is_file()
    if there and artifact.digest(frames / "detector") == artifact.digest(folder):
        return zoo.load(frames, role="prior")
    fix = f"Find them: resect fit object-frames PHOTOS --scene {place} --detector {folder}"
    raise ResectError(
        folder, f"the frames of its objects in {place}", "those of another detector" if there else "none", fix
    )


def load_image_decoder(folder: Path) -> Any:
    """An image decoder with its pose decoder."""
    made = zoo.resolve("resect.scenes.image_decoder.scene:ImageDecoder.load")(folder)
    return made.with_decoder(zoo.load(Path(folder) / "decoder", role="scene"))
