"""A pose as a weighted mean of training poses near it, with the weights whose mean latent is the photo's.

Shavit, Keller, "Camera pose auto-encoders for improving pose regression", ECCV 2022: K neighbours of a regressed pose
are decoded; a small network, drawn anew for each photo, is trained for a few steps to weigh them so that their mean is
the photo's latent. What differs: neighbours are **training** poses (released code searched the test poses, the photo's
own among them); the optimiser begins anew with each photo; `exact` solves for the weights in place of a few steps.
"""

from dataclasses import dataclass, field, replace
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.protocols import Scene
from resect.refine.linearize import channel_of
from resect.refine.neighbour_settings import NeighbourSettings, Orientation
from resect.refine.view import Meter
from resect.types import Estimate, Hypotheses, Photo, Status


@dataclass(frozen=True, eq=False)
class NeighbourCombination:
    """A refiner for scenes of features.

    Attributes:
        training: poses to combine; of training photos alone.
        settings: how many and how.
        seed: of the network.
    """

    training: SE3
    settings: NeighbourSettings = field(default_factory=NeighbourSettings)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.settings.count > len(self.training):
            raise ResectError("neighbours", f"1 to {len(self.training)}", str(self.settings.count))

    def refine(self, scene: Scene, photo: Photo, hypotheses: Hypotheses) -> Estimate:
        """The best start's position (and rotation) by its neighbours."""
        if not len(hypotheses):
            return Estimate(Status.NO_HYPOTHESIS, camera=photo.camera, camera_source=photo.camera_source)
        from resect.refine.latent import one_pixel

        meter, s = Meter(), self.settings
        best = hypotheses.take([int(hypotheses.log_weight.argmax())])
        start = best.cam_from_world.double()
        with meter.stage("observe"):
            view = one_pixel(scene, photo, meter)
        with meter.stage("latent"):
            near = nearest(self.training.double(), start[0], s.count)
            around = self.training.double()[near]
            with torch.no_grad():
                shown = channel_of(scene.render(view.camera, around, ("feature",)), "feature")[:, 0].float()
            target = view.observed[0].float()
            exact = s.weights == "exact"
            share = simplex_weights(shown, target) if exact else network_weights(shown, target, s.steps, self.seed)
            center = (share.double()[:, None] * around.center).sum(0, keepdim=True)
            rotation = _orientation(s.orientation, start.R, around.R, share.double())
        pose = SE3(rotation, -(rotation @ center[..., None])[..., 0])
        found = replace(best, cam_from_world=pose, log_weight=torch.zeros(1))
        return Estimate(Status.OK, found, cost=meter.cost, camera=photo.camera, camera_source=photo.camera_source)


def nearest(training: SE3, pose: SE3, count: int) -> Tensor:
    """Numbers of the nearest poses: distance of centres plus distance of quaternions, each over its greatest."""
    shift = (training.center - pose.center).norm(dim=-1)
    q, own = so3.to_quaternion(training.R), so3.to_quaternion(pose.R)
    turn = torch.minimum((q - own).norm(dim=-1), (q + own).norm(dim=-1))
    score = shift / shift.max().clamp_min(1e-12) + turn / turn.max().clamp_min(1e-12)
    return score.argsort(stable=True)[:count]


def network_weights(
    latents: Float[Tensor, "k l"], target: Float[Tensor, "l"], steps: int = 3, seed: int = 0
) -> Float[Tensor, "k"]:
    """Softmax of four layers on the K latents in a row, as published; AdamW 0.01; those before the last step."""
    k, length = latents.shape
    widths = (k * length, max(k, k * length // 8), max(k, k * length // 16), max(k, k * length // 32), k)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            linear = nn.Linear(before, after)
            nn.init.xavier_uniform_(linear.weight)
            layers += [linear, nn.ReLU()]
        network = nn.Sequential(*layers[:-1])
        optimizer = torch.optim.AdamW(network.parameters(), 1e-2)
        share = torch.full((k,), 1 / k)
        for _ in range(steps):
            share = network(latents.flatten()).softmax(0)
            loss = (share @ latents - target).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return share.detach()


def simplex_weights(latents: Float[Tensor, "k l"], target: Float[Tensor, "l"]) -> Float[Tensor, "k"]:
    """Weights ≥ 0 of sum 1 that bring the mean latent nearest to the target: non-negative least squares."""
    from scipy.optimize import nnls

    heavy = 1e3 * float(latents.norm(dim=1).max().clamp_min(1e-6))
    matrix = torch.cat([latents.T, torch.full((1, len(latents)), heavy)]).double()
    share, _ = nnls(matrix.numpy(), torch.cat([target, torch.tensor([heavy])]).double().numpy())
    found = torch.from_numpy(share)
    return (found / found.sum()).to(latents)


def _orientation(
    way: Orientation, own: Float[Tensor, "1 3 3"], around: Float[Tensor, "k 3 3"], share: Float[Tensor, "k"]
) -> Float[Tensor, "1 3 3"]:
    if way == "keep":
        return own
    if way in ("closest", "max"):
        return around[0 if way == "closest" else int(share.argmax())][None]
    q = so3.to_quaternion(around)
    if way == "affine":
        q = q * torch.where((q @ q[0]) < 0, -1.0, 1.0).to(q)[:, None]
        return so3.from_quaternion(functional.normalize((share[:, None] * q).sum(0, keepdim=True), dim=-1))
    outer = torch.einsum("k,ki,kj->ij", share, q, q)
    return so3.from_quaternion(torch.linalg.eigh(outer).eigenvectors[:, -1][None])
