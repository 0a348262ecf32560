"""A pose regressor small enough for tests, fitted once a process."""

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from tests.priors.captures import TRAIN, capture

from resect.nn.backbone.make import Backbone
from resect.nn.training_pictures import TrainingPictures
from resect.priors.posenet.fit import fit
from resect.priors.posenet.prior import PoseNet
from resect.priors.posenet.settings import PoseNetSettings


@cache
def backbone() -> str:
    """File of random weights whose batch norms know what features are like; else these are nearly constant."""
    torch.manual_seed(0)
    network = Backbone("mobilenet_v2")
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network.maps(TrainingPictures(capture(), 64, 0.875).plain(range(8)))
    path = Path(tempfile.mkdtemp()) / "weights.pth"
    torch.save(network.body.state_dict(), path)
    return str(path)


@cache
def tiny() -> PoseNetSettings:
    return PoseNetSettings(
        pretrained=backbone(), side=32, steps=20, batch=8, views=2, hidden=16, dropout=0.0, tensorboard=False
    )


@cache
def posenet() -> PoseNet:
    return fit(capture().subset(TRAIN), replace(tiny()))
