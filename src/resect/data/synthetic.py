"""A synthetic capture: photos of the procedural room, with true poses and exact depth, for demos, docs and tests.

The same settings give the same photos, bit for bit. A photo is made in this order: colour through the true lens at
pixel centres, averaged over `samples`² rays where parts meet or where a pixel is coarser than the texture; Gaussian
blur; exposure gain; Gaussian noise; clipping; 8-bit PNG or JPEG. Texture and poses are drawn from the seed, gain and
noise from the seed and the photo's number.
"""

import io
import math
from functools import cache
from pathlib import Path
from typing import assert_never

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect.artifact import read_json, write_atomic, write_json
from resect.data.procedural import ROOM_M, ProceduralRoom, clearance, follow, intersect, make_room
from resect.data.synthetic_settings import SyntheticSettings as SyntheticSettings
from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.look_at import look_at
from resect.geometry.se3 import SE3
from resect.types import Photo, PhotoSet, Truth, World

_LENS = (-0.09, 0.03, 0.0006, -0.0004)  # k1 k2 p1 p2: a phone's
_TABLE = (2.0, 1.5, 0.80)
_COARSE_PIXEL_M = 0.014  # pixels wider than this on the surface are averaged: 2/5 of the finest wavelength
_CHUNK = 8192  # small enough for the cache


def make_capture(settings: SyntheticSettings | None = None, out: Path | None = None) -> PhotoSet:
    """Photos of the procedural room, rendered when first asked for and then kept.

    Args:
        settings: what to photograph.
        out: an empty or new folder to write `transforms.json`, `images/` and `depth/` (16-bit PNG, millimetres) to.

    Returns:
        The photos as memory holds them: colours as in the files, depth exact.
    """
    s = settings or SyntheticSettings()
    room, camera, poses = make_room(s.seed, wall_texture=s.wall_texture), capture_camera(s), capture_poses(s)
    suffix = "png" if s.encoding == "png" else "jpg"
    names = tuple(f"images/{i:0{max(4, len(str(s.photos - 1)))}d}.{suffix}" for i in range(s.photos))

    @cache
    def load(i: int) -> Photo:
        image, depth = take_photo(room, camera, poses[i], s, i)
        pixels, _ = _encode(image, s)
        return Photo(names[i], pixels, camera, "synthetic", depth=depth)

    corners = torch.tensor([(0.0, 0.0, 0.0), ROOM_M])
    world = World(1.0, torch.tensor([0.0, 0.0, 1.0]), corners, _depth_range(camera, poses))
    photos = PhotoSet(
        out or Path("synthetic"), "synthetic", names, (camera,) * s.photos, Truth(poses), world, lambda i: load(int(i))
    )
    if out is not None:
        write_capture(photos, room, s, out)
    return photos


def write_capture(photos: PhotoSet, room: ProceduralRoom, settings: SyntheticSettings, out: Path) -> None:
    """Writes photos, depth and, last, `transforms.json`; refuses a folder that holds something."""
    from resect.data.transforms import write_transforms

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ResectError(out, "a new or empty folder", "one that holds something", "Give another --out.")
    depth_names = [f"depth/{Path(name).stem}.png" for name in photos.names]
    for i, name in enumerate(photos.names):
        image, depth = take_photo(room, photos.cameras[i], photos.truth.cam_from_world[i], settings, i)
        write_atomic(out / name, _encode(image, settings)[1])
        write_atomic(out / depth_names[i], _depth_png(depth))
    draft = out / "depth" / "transforms.json"
    write_transforms(photos, draft)
    facts = read_json(draft)
    draft.unlink()
    for frame, depth_name in zip(facts["frames"], depth_names, strict=True):
        frame["depth_file_path"] = depth_name
    write_json(out / "transforms.json", {"depth_unit_scale_factor": 0.001, **facts})


def capture_camera(settings: SyntheticSettings) -> Camera:
    """The camera of all photos."""
    camera = Camera.from_fov(math.radians(settings.fov_deg), settings.width, settings.height)
    if not settings.distortion:
        return camera
    off = (0.51 * camera.width, 0.492 * camera.height)  # a principal point that is not the image's middle
    return Camera(camera.fx, camera.fy * 1.002, *off, camera.width, camera.height, "opencv", _LENS)


def capture_poses(settings: SyntheticSettings) -> SE3:
    """`cam_from_world` of all photos, float64, at least 15 cm from everything."""
    s = settings
    u = (torch.arange(s.photos, dtype=torch.float64) + 0.5) / s.photos
    turn = 2 * math.pi * u
    middle = torch.tensor(_TABLE, dtype=torch.float64)
    if s.path == "around":
        lap = 2 * turn
        height = 1.48 + 0.22 * torch.sin(0.5 * lap + 0.7)
        center = torch.stack([2.0 + 1.1 * lap.cos(), 1.5 + 0.85 * lap.sin(), height], -1)
        swing = lap + math.pi + 1.2 * torch.sin(1.5 * lap + 0.4)
        pitch = -0.26 + 0.2 * torch.sin(2.5 * lap)
        ahead = torch.stack([swing.cos() * pitch.cos(), swing.sin() * pitch.cos(), pitch.sin()], -1)
        target = center + ahead
    elif s.path == "orbit":
        lap = 3 * turn
        rise = 0.35 + 0.5 * u
        ring = torch.stack([lap.cos() * rise.cos(), lap.sin() * rise.cos(), rise.sin()], -1)
        center, target = middle + 1.15 * ring, middle.expand(s.photos, 3)
    elif s.path == "forward":
        across = torch.frac(u * s.photos * 0.7548776662) - 0.5  # the plastic number's lattice fills the window evenly
        along = torch.frac(u * s.photos * 0.5698402910) - 0.5
        center = torch.stack([2.0 + 1.4 * across, 0.45 + 0.1 * along, 1.35 + 0.5 * along], -1)
        target = torch.stack([2.0 + 0.4 * across, 2.6 + 0 * along, 1.0 + 0.2 * along], -1)
    else:
        assert_never(s.path)
    return _shaken(center, target, s.seed)


def _shaken(center: Tensor, target: Tensor, seed: int) -> SE3:
    """Cameras moved by 3 cm and turned by 1.5° at random, drawn again where they would come too near to something."""
    generator = torch.Generator().manual_seed(seed + 1)
    poses = look_at(center, target)
    for _ in range(100):
        shift = 0.03 * torch.randn(len(center), 3, generator=generator, dtype=torch.float64)
        shake = 0.026 * torch.randn(len(center), 3, generator=generator, dtype=torch.float64)
        moved = center + shift
        if bool((clearance(moved) > 0.15).all()):
            rotation = so3.exp(shake) @ poses.R
            return SE3(rotation, -(rotation @ moved[..., None])[..., 0])
    raise AssertionError("the camera path touches the furniture")


def take_photo(
    room: ProceduralRoom, camera: Camera, cam_from_world: SE3, settings: SyntheticSettings, number: int
) -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w"]]:
    """One photo, in [0, 1] and not yet rounded, and the exact depth along the optical axis at pixel centres."""
    image, depth = _render(room, camera, cam_from_world.float(), settings.samples)
    generator = torch.Generator().manual_seed(settings.seed * 100_003 + number + 2)
    gain = math.exp(settings.exposure * float(torch.randn((), generator=generator)))
    image = _blur(image, settings.blur_px) * gain
    image = image + settings.noise * torch.randn(image.shape, generator=generator)
    return image.clamp(0, 1), depth


def _render(room: ProceduralRoom, camera: Camera, cam_from_world: SE3, samples: int) -> tuple[Tensor, Tensor]:
    shape = (camera.height, camera.width)
    pixels = camera.pixels()
    colour, depth, part, coarse = _shoot(room, camera, cam_from_world, pixels)
    rough = (_seams(part.view(shape)) | coarse.view(shape)).reshape(-1).nonzero()[:, 0]
    if samples > 1 and len(rough):
        step = (torch.arange(samples) + 0.5) / samples - 0.5
        grid = torch.cartesian_prod(step, step)
        around = (pixels[rough][:, None] + grid).flatten(0, 1)
        colour[rough] = _shoot(room, camera, cam_from_world, around)[0].view(len(rough), -1, 3).mean(1)
    return colour.view(*shape, 3), depth.view(shape)


def _shoot(room: ProceduralRoom, camera: Camera, cam_from_world: SE3, pixels: Tensor) -> tuple[Tensor, ...]:
    """Colour, depth, part, and whether a pixel is coarse on its surface."""
    found = []
    for few in pixels.split(_CHUNK):
        rays = camera.rays(few)
        directions = rays @ cam_from_world.R
        origins = cam_from_world.center.expand_as(directions)
        hits = intersect(origins, directions)
        distance, points, normals = follow(origins, directions, hits)
        width_m = camera.pixel_rad * distance / (normals * directions).sum(-1).abs().clamp_min(1e-3)
        found.append((room.colour(points, normals, hits.part), distance * rays[:, 2], hits.part, width_m))
    colour, depth, part, width_m = (torch.cat(list(x)) for x in zip(*found, strict=True))
    return colour, depth, part, width_m > _COARSE_PIXEL_M


def _seams(part: Tensor) -> Bool[Tensor, "h w"]:
    """Pixels with a neighbour that shows another part."""
    padded = torch.nn.functional.pad(part[None, None].float(), (1, 1, 1, 1), mode="replicate")[0, 0]
    h, w = part.shape
    around = torch.stack([padded[y : y + h, x : x + w] for y in range(3) for x in range(3)])
    return (around != part).any(0)


def _blur(image: Tensor, sigma_px: float) -> Tensor:
    if sigma_px == 0:
        return image
    reach = max(1, math.ceil(4 * sigma_px))
    weight = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma_px) ** 2)
    weight = (weight / weight.sum()).expand(3, 1, -1)
    planes = torch.nn.functional.pad(image.permute(2, 0, 1), (reach,) * 4, mode="replicate")
    planes = torch.nn.functional.conv2d(planes, weight[:, :, None], groups=3)
    return torch.nn.functional.conv2d(planes, weight[..., None], groups=3).permute(1, 2, 0)


def _encode(image: Tensor, settings: SyntheticSettings) -> tuple[Tensor, bytes]:
    """The picture as a file holds it, and the file."""
    import numpy as np
    from PIL import Image

    counts = (image * 255).round().byte()
    file = io.BytesIO()
    if settings.encoding == "png":
        Image.fromarray(counts.numpy()).save(file, "png", compress_level=3)
    else:
        Image.fromarray(counts.numpy()).save(file, "jpeg", quality=92, subsampling=0)
        counts = torch.from_numpy(np.array(Image.open(io.BytesIO(file.getvalue()))))
    return counts.float() / 255, file.getvalue()


def _depth_png(depth_m: Tensor) -> bytes:
    import numpy as np
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray((depth_m * 1000).round().clamp(0, 65534).numpy().astype(np.uint16)).save(file, "png")
    return file.getvalue()


def _depth_range(camera: Camera, poses: SE3) -> tuple[float, float]:
    """Nearest and farthest depth along a coarse grid of rays of all cameras."""
    small = camera.rescale(32, 24)
    rays = small.rays(small.pixels())
    directions = rays @ poses.R.float()
    origins = poses.center.float()[:, None].expand_as(directions)
    distance = intersect(origins.flatten(0, 1), directions.flatten(0, 1)).distance.view(len(poses), -1)
    depth = distance * rays[:, 2]
    return float(depth.min()), float(depth.max())
