"""A mask in the first frame carried through a sequence by colour: what is cut out of each frame, with soft edges.

For objects whose colours differ from what lies right behind them. The colours of both sides are learned from the first
mask, then from rendered ones too; in a later frame the object is the connected part that overlaps where it was. Where
its pose is known about (`recut`), a pixel far inside of the outline there is the object's whatever its colour (a lamp
mirrored in a table's top), one far outside is not (its shadow): log odds of colour and of place are added, as
region-based trackers do (Prisacariu & Reid, "PWP3D", IJCV 2012; differs: a cut is made once, the pose found from it).
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from resect.data.mask import box_of
from resect.errors import ResectError
from resect.types import Photo, Target

_SPECK = 0.002
"""A hole smaller than this part of the object is a speck of another colour on it."""


@dataclass(frozen=True)
class MaskSettings:
    """How colours are told apart.

    Attributes:
        levels: bins of each of two chromaticities.
        shades: bins of the brightness.
        blur_bins: standard deviation by which the histograms are smoothed, bins.
        around: background is what lies within this part of the mask's longer side of it.
        reach: an object may have moved by this part of its longer side between frames.
        least_share: a mask smaller than this part of the one before, or larger by it, is not believed.
        enlarge: frames are worked on at so many times their size: thin parts stay whole.
        window_px: colours of both sides of an edge are means over so many pixels of the enlarged frame.
        learning: weight of the newest frame in what is learned after the first.
        sure: colour alone is never surer than these log odds …
        pull: … and place than these, from the depth `depth` on, part of the outline's longer side.
        depth: see `pull`.
        again: so many times a frame is cut again, with the outline at the pose that was found.
        rough: the first mask is only roughly right; the first frame is then cut by colour like the others.
    """

    levels: int = 32
    shades: int = 4
    blur_bins: float = 1.0
    around: float = 0.6
    reach: float = 0.3
    least_share: float = 0.4
    enlarge: int = 2
    window_px: int = 9
    learning: float = 0.3
    sure: float = 3.0
    pull: float = 4.0
    depth: float = 0.1
    again: int = 0
    rough: bool = False


class MaskFollower:
    """Cuts an object out of frame after frame.

    Args:
        photo: the first frame.
        mask: (h, w), true on the object.
        settings: how.
    """

    def __init__(self, photo: Photo, mask: Bool[Tensor, "h w"], settings: MaskSettings | None = None) -> None:
        self.settings = settings or MaskSettings()
        if mask.shape != photo.image.shape[:2]:
            got, want = (f"{s[1]}x{s[0]}" for s in (mask.shape, photo.image.shape[:2]))
            raise ResectError("mask", f"the size of the first frame, {want}", got, "Give a mask of that very frame.")
        if not bool(mask.any()) or bool(mask.all()):
            got = "an empty one" if not bool(mask.any()) else "one that covers everything"
            raise ResectError("mask", "a mask with an object and a background", got, "Not black is the object alone.")
        self._first = self._sides(photo, mask)
        self._shares, self._mask = self._first, mask

    def learn(self, photo: Photo, mask: Bool[Tensor, "h w"]) -> None:
        """Takes in what the object and its background look like now, from a mask that is known better: a rendered one.

        The first mask keeps half of the say, so that nothing drifts away.
        """
        height, width = mask.shape
        least = self.settings.least_share
        if not bool(mask.any()) or not least <= int(mask.sum()) / max(1, int(self._mask.sum())) <= 1 / least:
            return
        if int(mask.sum()) > 0.9 * height * width:
            return
        now, rate = self._sides(photo, mask), self.settings.learning
        self._shares = tuple((1 - rate) * old + rate * new for old, new in zip(self._shares, now, strict=True))
        self._mask = mask

    def _sides(self, photo: Photo, mask: Bool[Tensor, "h w"]) -> tuple[Tensor, ...]:
        """Histograms of object and background."""
        part, times = self._part(mask, self.settings.around), self.settings.enlarge
        inside = enlarged(mask[part].float()[..., None], times)[..., 0] > 0.5
        bins = self._bins(enlarged(photo.image[part], times))
        return self._histogram(bins[inside]), self._histogram(bins[~inside])

    def cut(
        self,
        photo: Photo,
        mask: Bool[Tensor, "h w"] | None = None,
        expected: Bool[Tensor, "h w"] | None = None,
    ) -> Photo:
        """The frame with everything but the object taken out: opacity, and what is left laid on white.

        Where the object is not found the target's mask is empty.

        Args:
            photo: the frame.
            mask: of this very frame, where it is known: then only its edge is made soft.
            expected: about where the object should be seen in this frame.
        """
        s = self.settings
        if mask is not None:
            self._mask = mask
        elif expected is not None and bool(expected.any()):
            self._mask = expected
        part = self._part(self._mask, s.reach)
        image = enlarged(photo.image[part], s.enlarge)
        before = enlarged(self._mask[part].float()[..., None], s.enlarge)[..., 0] > 0.5
        if mask is None:
            odds = self._odds(image)
            if expected is not None:
                odds = odds + s.pull * _depth(before, s.depth)
            found = _overlapping(odds > 0, before)
        else:
            found = before
        size = int(found.sum()) / max(1, int(before.sum()))
        if not s.least_share <= size <= 1 / s.least_share:
            found = torch.zeros_like(found)
        alpha = torch.zeros(photo.image.shape[:2])
        alpha[part] = torch.nn.functional.avg_pool2d(_soft(image, found, s.window_px)[None, None], s.enlarge)[0, 0]
        if bool((alpha > 0.5).any()):
            self._mask = alpha > 0.5
        laid = photo.image * alpha[..., None] + (1 - alpha[..., None])
        return replace(photo, image=laid, alpha=alpha, target=Target("object", mask=alpha > 0.5))

    def _odds(self, image: Float[Tensor, "y x 3"]) -> Float[Tensor, "y x"]:
        """Log odds of a colour being the object's."""
        front, back = (0.5 * (a + b) for a, b in zip(self._first, self._shares, strict=True))
        odds = (front.log() - back.log()).clamp(-self.settings.sure, self.settings.sure)
        return odds.flatten()[self._bins(image)]

    def _part(self, mask: Bool[Tensor, "h w"], grow: float) -> tuple[slice, slice]:
        """Rows and columns of the mask's box, grown by a part of its longer side."""
        left, top, right, bottom = (int(x) for x in box_of(mask))
        more = round(grow * max(bottom - top, right - left))
        return slice(max(0, top - more), bottom + more), slice(max(0, left - more), right + more)

    def _bins(self, image: Float[Tensor, "y x 3"]) -> Int[Tensor, "y x"]:
        """Chromaticity (red and blue against green) and brightness."""
        s, total = self.settings, image.sum(-1).clamp_min(0.05)
        # Colours of things lie within ± 0.3 of grey.
        red = ((image[..., 0] - image[..., 1]) / total * (s.levels / 0.6) + s.levels / 2).long()
        blue = ((image[..., 2] - image[..., 1]) / total * (s.levels / 0.6) + s.levels / 2).long()
        shade = (image.mean(-1) * s.shades).long().clamp(0, s.shades - 1)
        return (red.clamp(0, s.levels - 1) * s.levels + blue.clamp(0, s.levels - 1)) * s.shades + shade

    def _histogram(self, bins: Int[Tensor, "n"]) -> Float[Tensor, "r b s"]:
        s = self.settings
        counts = torch.bincount(bins, minlength=s.levels**2 * s.shades).float().reshape(s.levels, s.levels, s.shades)
        radius = math.ceil(3 * s.blur_bins)
        x = torch.arange(-radius, radius + 1)
        kernel = (-0.5 * (x / s.blur_bins).square()).exp()
        kernel = kernel / kernel.sum()
        planes = counts.permute(2, 0, 1)[:, None]
        planes = torch.nn.functional.conv2d(planes, kernel[None, None, :, None], padding=(radius, 0))
        planes = torch.nn.functional.conv2d(planes, kernel[None, None, None], padding=(0, radius))
        share = planes[:, 0].permute(1, 2, 0) / max(1, len(bins))
        return share + 1e-5


def enlarged(image: Float[Tensor, "h w c"], times: int) -> Float[Tensor, "y x c"]:
    """Smoothly resampled at a whole multiple of the size."""
    planes = image.permute(2, 0, 1)[None].float()
    large = torch.nn.functional.interpolate(planes, scale_factor=times, mode="bicubic")
    return large[0].permute(1, 2, 0).clamp(0, 1)


def _overlapping(candidate: Bool[Tensor, "y x"], before: Bool[Tensor, "y x"]) -> Bool[Tensor, "y x"]:
    """The connected part with the most pixels in common with a mask; parts that nearly touch are joined first, and
    specks in it are filled.
    """
    from scipy import ndimage

    labels, count = ndimage.label(ndimage.binary_closing(candidate.cpu().numpy(), iterations=2))
    part = torch.from_numpy(labels).to(candidate.device)
    shared = torch.bincount(part[before].flatten().long(), minlength=count + 1)
    shared[0] = 0
    if count == 0 or int(shared.max()) == 0:
        return torch.zeros_like(candidate)
    found = (part == int(shared.argmax())) & candidate
    holes, count = ndimage.label(~found.cpu().numpy())
    size = torch.bincount(torch.from_numpy(holes).flatten().long(), minlength=count + 1).to(candidate.device)
    small = size < _SPECK * int(found.sum())
    small[0] = False
    return found | small[torch.from_numpy(holes).to(candidate.device)]


def _depth(mask: Bool[Tensor, "y x"], reach: float) -> Float[Tensor, "y x"]:
    """How deep inside a mask, from −1 (outside by `reach` of its longer side, or more) to 1."""
    from scipy import ndimage

    if not bool(mask.any()):
        return torch.zeros(mask.shape)
    left, top, right, bottom = box_of(mask)
    side = max(bottom - top, right - left)
    inside = mask.cpu().numpy()
    deep = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    return torch.from_numpy(deep / (reach * side)).clamp(-1, 1).float()


def _soft(image: Float[Tensor, "y x 3"], mask: Bool[Tensor, "y x"], window: int) -> Float[Tensor, "y x"]:
    """Opacity: along the edge, how far a pixel's colour is from the background's towards the object's, locally."""

    def mean(weight: Tensor) -> tuple[Tensor, Tensor]:
        pool = torch.nn.functional.avg_pool2d
        planes = torch.cat([image.permute(2, 0, 1) * weight, weight[None]])[None]
        sums = pool(planes, window, stride=1, padding=window // 2, count_include_pad=True)[0]
        return (sums[:3] / sums[3].clamp_min(1e-6)).permute(1, 2, 0), sums[3] > 1e-6

    inner = ~_grown(~mask)
    outer = ~_grown(mask)
    front, has_front = mean(inner.float())
    back, has_back = mean(outer.float())
    toward = front - back
    share = ((image - back) * toward).sum(-1) / toward.square().sum(-1).clamp_min(1e-4)
    band = ~inner & ~outer & has_front & has_back
    return torch.where(band, share.clamp(0, 1), mask.float())


def _grown(mask: Bool[Tensor, "y x"]) -> Bool[Tensor, "y x"]:
    return torch.nn.functional.max_pool2d(mask.float()[None, None], 3, stride=1, padding=1)[0, 0] > 0.5
