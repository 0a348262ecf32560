"""Windows that can show spheres, and what is laid into a picture."""

import torch

from resect.geometry.camera import Camera
from resect.synthesis.canvas import Canvas, Window, window_of
from resect.synthesis.light import shadows

CAMERA = Camera.from_fov(1.0, 64, 48)


def test_the_window_of_a_sphere_holds_every_pixel_that_shows_it_and_few_more() -> None:
    generator = torch.Generator().manual_seed(0)
    rays = torch.nn.functional.normalize(CAMERA.rays(CAMERA.pixels()), dim=-1)
    outside = 0
    for _ in range(200):
        u = torch.rand(4, generator=generator)
        center = torch.stack([4 * u[0] - 2, 4 * u[1] - 2, 1 + 3 * u[2]])
        radius = 0.9 * float(u[3])
        away = (center - (rays @ center)[:, None] * rays).norm(dim=-1)
        shown = (away < radius).view(CAMERA.height, CAMERA.width)
        window = window_of(CAMERA, center, radius)
        if window is None:
            outside += 1
            assert not shown.any()
            continue
        inside = torch.zeros_like(shown)
        inside[window.slices] = True
        assert not (shown & ~inside).any()
        if radius < 0.3:
            assert window.width <= 2 * 55 * radius / float(center[2] - radius) * 2 + 5
    assert outside > 20


def test_a_window_of_a_camera_sees_what_the_camera_sees_there() -> None:
    window = Window(5, 7, 20, 11)
    whole = CAMERA.rays(CAMERA.pixels()).view(48, 64, 3)
    part = window.of(CAMERA)
    torch.testing.assert_close(part.rays(part.pixels()).view(11, 20, 3), whole[window.slices])


def test_the_nearest_is_on_top_in_any_order() -> None:
    red, blue = torch.tensor([1.0, 0, 0]).expand(4, 4, 3), torch.tensor([0, 0, 1.0]).expand(4, 4, 3)
    a, b, all_of_it = Window(0, 0, 4, 4), Window(2, 2, 4, 4), torch.ones(4, 4, dtype=torch.bool)
    laid = [(red, torch.full((4, 4), 2.0), all_of_it, a, 0), (blue, torch.full((4, 4), 1.0), all_of_it, b, 1)]
    results = []
    for order in (laid, laid[::-1]):
        canvas = Canvas(torch.zeros(8, 8, 3))
        for one in order:
            canvas.lay(*one)
        results.append(canvas)
    assert torch.equal(results[0].colour, results[1].colour)
    assert torch.equal(results[0].owner, results[1].owner)
    assert (results[0].owner == 1).sum() == 16
    assert (results[0].owner == 0).sum() == 12
    assert (results[0].owner == -1).sum() == 36
    assert torch.equal(results[0].whole(all_of_it, b).nonzero().amin(0), torch.tensor([2, 2]))


def test_light_and_shadow_are_smooth_and_even_out() -> None:
    fields = [shadows((48, 64), torch.Generator().manual_seed(seed)) for seed in range(40)]
    for field in fields:
        assert field.shape == (48, 64)
        assert 0.2 <= float(field.min()) < float(field.max()) <= 2
        assert float((field[1:] - field[:-1]).abs().max()) < 0.5
    assert 0.9 < float(torch.stack(fields).median()) < 1.1  # of exp(N(0, 0.4)): 1
