"""How photos are posed; apart, so that the command line can list it without PyTorch."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class StructureFromMotionSettings:
    """How photos are posed.

    Attributes:
        matching: "exhaustive" compares every photo with every other; "sequential" each with the ones near it in name
            order, for video and long walks; "auto" is sequential for video and from 200 photos on.
        one_camera: whether all photos come from one camera at one zoom.
        lens: COLMAP camera model to solve for.
        max_side: features are found at most at this size, pixels.
        max_features: of each photo.
        max_frames: of a video, the sharpest of as many equal spans of time.
        least_registered: fewer posed photos than this are an error.
        threads: processor threads; 0 takes all.
        seed: of everything random.
    """

    matching: Literal["auto", "exhaustive", "sequential"] = "auto"
    one_camera: bool = True
    lens: Literal["SIMPLE_RADIAL", "RADIAL", "OPENCV", "OPENCV_FISHEYE", "SIMPLE_PINHOLE", "PINHOLE"] = "SIMPLE_RADIAL"
    max_side: int = 1600
    max_features: int = 4096
    max_frames: int = 150
    least_registered: int = 3
    threads: int = 0
    seed: int = 0
