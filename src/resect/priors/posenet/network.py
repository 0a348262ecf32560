"""The regressor: backbone, a latent for position and one for rotation, a linear layer on each.

Kendall, Grimes, Cipolla, "PoseNet", ICCV 2015, in the form of Shavit, Keller, "Camera pose auto-encoders for improving
pose regression", ECCV 2022: mean of the features → two layers of 256 with ReLU → dropout → 3 and 4 numbers. What may
differ, by the settings: for the rotation features keep their place in the picture (`reduce`); features are whitened,
and some are left out in a step; poses are regressed in a frame of the training cameras.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from resect.geometry.se3 import SE3
from resect.nn.backbone.make import Backbone, make_backbone
from resect.nn.pose_loss import PoseFrame
from resect.priors.posenet.kin import CELLS
from resect.priors.posenet.settings import PoseNetSettings

_MANY = 256  # channels; of more than these, places would make codes too long to keep


class PoseNetNetwork(nn.Module):
    """Pictures to positions and quaternions.

    Args:
        settings: how it is built.
        frame: what poses are regressed in.
        backbone: network that looks at the picture.
    """

    def __init__(self, settings: PoseNetSettings, frame: PoseFrame, backbone: Backbone) -> None:
        super().__init__()
        self.backbone, self.frame, self._stride = backbone, frame, settings.stride
        channels, cells = backbone.map_channels[settings.stride], -(-settings.side // settings.stride)
        self.whiten = nn.BatchNorm2d(channels, affine=False) if settings.whiten else nn.Identity()
        self.reduce = nn.Conv2d(channels, settings.reduce, 1) if settings.reduce else None
        width = settings.reduce * cells**2 if settings.reduce else channels
        self.dropout = nn.Dropout(settings.dropout)
        self.x_latent, self.q_latent = nn.Linear(channels, settings.hidden), nn.Linear(width, settings.hidden)
        self.x_reg, self.q_reg = nn.Linear(settings.hidden, 3), nn.Linear(settings.hidden, 4)
        for layer in (self.x_latent, self.q_latent, self.x_reg, self.q_reg):
            nn.init.kaiming_normal_(layer.weight)
        if settings.normalize:  # begin at the mean pose
            for layer in (self.x_reg, self.q_reg):
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)
            with torch.no_grad():
                self.q_reg.bias[0] = 1.0

    def see(self, picture: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b c i j"]:
        """Features of pictures in [0, 1]."""
        return self.backbone.maps(picture.contiguous(memory_format=torch.channels_last), self._stride)[self._stride]

    def latents(self, features: Float[Tensor, "b c i j"]) -> tuple[Float[Tensor, "b l"], Float[Tensor, "b l"]]:
        """Of position and of rotation; not negative."""
        whitened = self.whiten(features)
        mean = self.dropout(whitened.mean((2, 3)))
        placed = mean if self.reduce is None else self.dropout(functional.relu(self.reduce(whitened)).flatten(1))
        return functional.relu(self.x_latent(mean)), functional.relu(self.q_latent(placed))

    def code(self, features: Float[Tensor, "b c i j"]) -> Float[Tensor, "b d"]:
        """How a picture looks: its whitened features, coarsely placed, of unit length."""
        cells = CELLS if features.shape[1] <= _MANY else 1
        coarse = functional.adaptive_avg_pool2d(self.whiten(features), cells).flatten(1)
        return functional.normalize(coarse, dim=1)

    def regress(
        self, x_latent: Float[Tensor, "b l"], q_latent: Float[Tensor, "b l"]
    ) -> tuple[Float[Tensor, "b 3"], Float[Tensor, "b 4"]]:
        """Position and quaternion in the network's frame."""
        return self.x_reg(self.dropout(x_latent)), self.q_reg(self.dropout(q_latent))

    def forward(self, picture: Float[Tensor, "b 3 s s"]) -> SE3:
        """`cam_from_world` of pictures."""
        return self.frame.decode(*self.regress(*self.latents(self.see(picture))))


def make_network(settings: PoseNetSettings, poses: SE3 | None, seed: int, *, pretrained: bool = True) -> PoseNetNetwork:
    """A network with the weights of a seed, and a pretrained backbone where the settings name one.

    Args:
        settings: how it is built.
        poses: of the training cameras.
        seed: of the weights.
        pretrained: `False` leaves the backbone's weights random, for a network whose weights are loaded next.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = make_backbone(settings.backbone, settings.pretrained if pretrained else "")
        frame = PoseFrame(poses if settings.normalize else None)
        return PoseNetNetwork(settings, frame, backbone).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
