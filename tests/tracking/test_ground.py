import torch

from resect.geometry.se3 import SE3
from resect.refine.levenberg_marquardt import State
from resect.tracking.ground import camera_height


def test_against_finite_differences() -> None:
    g = torch.Generator().manual_seed(0)
    pose = SE3.exp(torch.randn(3, 6, generator=g, dtype=torch.float64))
    up = torch.tensor([0.2, -0.9, 0.4])
    term = camera_height(up, 0.3, 1.1, 0.05)

    def at(p: SE3) -> torch.Tensor:
        return term(State(p, torch.zeros(3, 0).double(), torch.arange(3), 0)).loss

    unit = up.double() / up.double().norm()
    want = 0.5 * ((pose.center @ unit - 0.3 - 1.1) / 0.05).square()
    torch.testing.assert_close(at(pose), want)
    normal = term(State(pose, torch.zeros(3, 0).double(), torch.arange(3), 0))
    for k in range(6):
        d = torch.zeros(6, dtype=torch.float64)
        d[k] = 1e-6
        slope = (at(pose.retract(d)) - at(pose.retract(-d))) / 2e-6
        torch.testing.assert_close(normal.gradient[:, k], slope, atol=1e-4, rtol=1e-5)
