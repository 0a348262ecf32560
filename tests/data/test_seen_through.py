import torch

from resect.data.seen_through import seen_through
from resect.geometry import so3
from resect.geometry.camera import Camera

LENS = Camera(60.0, 62.0, 41.0, 29.0, 80, 60, "opencv", (-0.2, 0.05))


def colour_of(camera: Camera, turn: torch.Tensor) -> torch.Tensor:
    """(h, w, 3): each direction in the photo's frame has a colour of its own."""
    rays = camera.rays(camera.pixels(dtype=torch.float64)) @ turn
    return (0.5 + 0.4 * rays * torch.tensor([1.0, 1.0, 0.2])).float().view(camera.height, camera.width, 3)


def test_directions_keep_their_colours() -> None:
    turn = so3.exp(torch.tensor([0.1, -0.15, 0.3], dtype=torch.float64))
    photo = colour_of(LENS, torch.eye(3, dtype=torch.float64))
    for other in (Camera(90.0, 90.0, 12.0, 10.0, 24, 20), Camera(30.0, 30.0, 6.0, 5.0, 12, 10)):  # finer and coarser
        found = seen_through(photo, LENS, other, turn).permute(1, 2, 0)
        torch.testing.assert_close(found, colour_of(other, turn), atol=5e-3, rtol=0)


def test_through_its_own_lens_a_photo_stays_as_it_is() -> None:
    photo = torch.rand(60, 80, 3, generator=torch.Generator().manual_seed(0))
    found = seen_through(photo, LENS, LENS, torch.eye(3, dtype=torch.float64)).permute(1, 2, 0)
    torch.testing.assert_close(found, photo, atol=1e-3, rtol=0)
