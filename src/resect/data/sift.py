"""The one SIFT detector of the house. The file that needs OpenCV for it."""

from typing import Any

from resect.errors import NotInstalledError


def sift_detector(max_features: int = 0, contrast: float = 0.04) -> Any:
    """OpenCV's SIFT, whose points count from the first pixel's centre: add 0.5.

    Without `enable_precise_upscale` the points lie a quarter of a pixel too far right and down.

    Args:
        max_features: the strongest so many; 0 takes all.
        contrast: least contrast of a feature; OpenCV's own is 0.04.

    Raises:
        NotInstalledError: without opencv-python-headless.
    """
    try:
        import cv2
    except ImportError:
        raise NotInstalledError("opencv-python-headless", "all", "SIFT features") from None
    create: Any = cv2.SIFT.create
    return create(max_features, contrastThreshold=contrast, enable_precise_upscale=True)
