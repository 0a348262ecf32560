"""The constants of the refiner for objects."""

from dataclasses import dataclass, field

from resect.refine.object.boxed import BoxSettings
from resect.refine.object.likeness import LikenessSettings
from resect.refine.object.outline import OutlineSettings
from resect.refine.object.region import RegionSettings
from resect.refine.object.surface import SurfaceSettings
from resect.refine.object.templates import TemplateSettings


@dataclass(frozen=True)
class ObjectSettings:
    """The refiner for objects. Sizes are pixels that the object's sphere spans.

    Attributes:
        search_px: size of the templates.
        settle_px: sizes at which candidates are settled, coarse to fine; at the last one as fine as the last steps do.
        facets_px: how large the faces of a mesh may be there; they are a pixel large elsewhere.
        keep: candidates that each of these sizes settles.
        pitch_deg: distance of neighbouring rotations in the search.
        depth_pitch: distance of neighbouring distances, as a part of them.
        reach_sigma: how many standard deviations of a start are searched.
        most_around: more hypotheses than this are not searched around but taken as they are, at several distances.
        among_depths: these, as parts of their own.
        among_reach: and slid so far, part of the object's radius.
        unknown_turn_deg: standard deviation of a start's rotation where nothing is known.
        unknown_shift: the same of its translation, part of the object's radius.
        slopes_px: softness of the outline in each round at a size; colours of object and background are learned anew
            in each.
        steps: of Levenberg–Marquardt in each round.
        stop: a shorter step, |(v / radius, ω)|, is the last.
        polish_px: size at which the last candidates are settled for good; rarely more than the photo has.
        polish_facets_px: how large the faces of a mesh may be there: means of its corners lie a little inside it.
        polish_keep: how many of them.
        polish_rounds: colours beside the outline are learned anew in each.
        polish_steps: of Levenberg–Marquardt in each.
        margin: around the object, part of its radius.
        apart_deg: closer poses (and closer than `apart_shift`) count as one.
        apart_shift: see `apart_deg`, part of the object's radius.
        scatter_deg: spread of poses drawn about the last candidates, in each round.
        scatter: poses drawn about each of them.
        scatter_around: candidates that are drawn about.
        scatter_keep: of all drawn, those that are settled.
        scatter_px: size at which they are compared.
        scatter_along: their spread along the optical axis, over that of a point of the object by a turn.
        mass: likeness by which a mode must be better to weigh e times as much; the last steps may lose as much.
        ambiguous: mass of the second mode, part of that of the best two, from which the answer is ambiguous.
        least: likeness below which the photo is said not to show the object.
        least_told: the same where a box, a mask or a start with its spread says that it does.
        spread: by how much squared errors exceed what the rows explain while candidates are settled; the information of
            the answer is divided by it too: real meshes and lights are wrong in ways that rows do not know.
        fine_spread: the same in the last steps, against what was known before.
        template: what templates compare.
        region: how the sides of the outline are told apart.
        outline: what lies beside the outline, for the last steps.
        surface: how colours on the surface are compared.
        fine_surface: the same for the last steps.
        likeness: what the status is decided by.
        box: what a visible box says, where there is no mask, against `mass`.
        rank: what poses are ranked by: outline and edges, where thousands of pixels have a say, and how far colours
            are off; not their correlation, which shading of a smooth surface decides.
    """

    search_px: int = 28
    settle_px: tuple[int, ...] = (48, 96)
    facets_px: float = 2.0
    keep: tuple[int, ...] = (24, 6)
    pitch_deg: float = 10.0
    depth_pitch: float = 0.06
    reach_sigma: float = 2.0
    most_around: int = 16
    among_depths: tuple[float, ...] = (1.0, 0.85)
    among_reach: float = 0.3
    unknown_turn_deg: float = 15.0
    unknown_shift: float = 0.3
    slopes_px: tuple[float, ...] = (2.4, 1.2)
    steps: int = 5
    stop: float = 1e-3
    polish_px: int = 160
    polish_facets_px: float = 0.5
    polish_keep: int = 3
    polish_rounds: int = 3
    polish_steps: int = 5
    margin: float = 1.5
    apart_deg: float = 6.0
    apart_shift: float = 0.1
    scatter_deg: tuple[float, ...] = (6.0,)
    scatter: int = 48
    scatter_around: int = 3
    scatter_keep: int = 6
    scatter_px: int = 64
    scatter_along: float = 2.0
    mass: float = 0.03
    ambiguous: float = 0.25
    least: float = 0.45
    least_told: float = 0.2
    spread: float = 10.0
    fine_spread: float = 1.0
    template: TemplateSettings = field(default_factory=TemplateSettings)
    region: RegionSettings = field(default_factory=RegionSettings)
    outline: OutlineSettings = field(default_factory=OutlineSettings)
    surface: SurfaceSettings = field(default_factory=SurfaceSettings)
    fine_surface: SurfaceSettings = field(default_factory=lambda: SurfaceSettings(strength=5e4))
    likeness: LikenessSettings = field(default_factory=LikenessSettings)
    box: BoxSettings = field(default_factory=BoxSettings)
    rank: LikenessSettings = field(
        default_factory=lambda: LikenessSettings(region=3.0, edges=2.0, pattern=0.0, colour=1.0)
    )
