"""All constants of the landmark prior; `docs/decisions/landmarks.md` says how each was chosen."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LandmarkSettings:
    """How a landmark map is made and asked.

    Lengths in pixels are of the working image: the photo, made smaller until its longer side has `max_side` pixels.

    Attributes:
        max_side: longer side of the working image; more is slower and slightly more exact.
        max_features: most features of one photo, the strongest first.
        contrast: least contrast of a feature (SIFT's contrastThreshold).
        neighbours: each training photo is matched to this many others that look the same way from nearby.
        pair_ratio: between training photos, best distance over second best must be below this.
        epipolar_px: most distance of a match between training photos from its epipolar line.
        reprojection_px: most distance of an observation from its point.
        min_angle_deg: least angle between two of a point's rays.
        min_views: least number of training photos that see a point.
        max_landmarks: most points in the map, those seen in the most photos first.
        first_features: features of a new photo, the strongest first, that are compared with the whole map.
        ratio: in that comparison, best distance over second best must be below this.
        ransac_px: most reprojection error of an inlier of the first pose.
        guided_px: radius in which a projected point looks for its feature in the second pass.
        guided_ratio: best distance over second best within that radius.
        guided_cosine: least cosine between the descriptors of a guided match.
        size_factor: how much larger or smaller a feature may be than its landmark should appear there.
        min_inliers: fewer agreeing points than this are no answer.
        over_chance: nor are fewer than `min_inliers` plus this many times what the same search finds 16 pixels aside.
    """

    max_side: int = 960
    max_features: int = 4096
    contrast: float = 0.02
    neighbours: int = 12
    pair_ratio: float = 0.85
    epipolar_px: float = 2.0
    reprojection_px: float = 2.0
    min_angle_deg: float = 1.0
    min_views: int = 2
    max_landmarks: int = 60_000
    first_features: int = 1024
    ratio: float = 0.85
    ransac_px: float = 4.0
    guided_px: float = 5.0
    guided_ratio: float = 0.9
    guided_cosine: float = 0.85
    size_factor: float = 1.6
    min_inliers: int = 15
    over_chance: float = 1.5
