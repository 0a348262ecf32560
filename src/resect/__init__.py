"""resect: the pose of a camera or an object from a single image.

A *guess* (prior) feeds an *inversion* of whatever can render (scene), and the answer is *judged*. The names below are
imported when they are first used; importing resect runs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "SE3": "resect.geometry.se3",
    "Sim3": "resect.geometry.sim3",
    "Camera": "resect.geometry.camera",
    "look_at": "resect.geometry.look_at",
    "view_sphere": "resect.geometry.look_at",
    "ResectError": "resect.errors",
    "Cost": "resect.types",
    "Estimate": "resect.types",
    "Hypotheses": "resect.types",
    "Photo": "resect.types",
    "PhotoSet": "resect.types",
    "Render": "resect.types",
    "RotationDensity": "resect.types",
    "Split": "resect.types",
    "Status": "resect.types",
    "Target": "resect.types",
    "Truth": "resect.types",
    "World": "resect.types",
    "target_from_box": "resect.data.target",
    "target_from_mask": "resect.data.target",
    "with_target": "resect.data.target",
    "Given": "resect.priors.given",
    "Inversion": "resect.refine.default",
    "ObjectInversion": "resect.refine.object.refiner",
    "MeshScene": "resect.scenes.mesh.scene",
    "Localizer": "resect.localizer",
    "open_object": "resect.known_objects",
    "open_place": "resect.place",
    "load": "resect.zoo",
    "read": "resect.data",
    "Mesh": "resect.geometry.mesh",
    "read_mesh": "resect.data.mesh",
    "read_objects": "resect.data.objects",
    "read_photo": "resect.data",
    "read_rotations": "resect.data.rotations.read",
}

if TYPE_CHECKING:
    from resect.data import read as read
    from resect.data import read_photo as read_photo
    from resect.data.mesh import read_mesh as read_mesh
    from resect.data.objects import read_objects as read_objects
    from resect.data.rotations.read import read_rotations as read_rotations
    from resect.data.target import target_from_box as target_from_box
    from resect.data.target import target_from_mask as target_from_mask
    from resect.data.target import with_target as with_target
    from resect.errors import ResectError as ResectError
    from resect.geometry.camera import Camera as Camera
    from resect.geometry.look_at import look_at as look_at
    from resect.geometry.look_at import view_sphere as view_sphere
    from resect.geometry.mesh import Mesh as Mesh
    from resect.geometry.se3 import SE3 as SE3
    from resect.geometry.sim3 import Sim3 as Sim3
    from resect.known_objects import open_object as open_object
    from resect.localizer import Localizer as Localizer
    from resect.place import open_place as open_place
    from resect.priors.given import Given as Given
    from resect.refine.default import Inversion as Inversion
    from resect.refine.object.refiner import ObjectInversion as ObjectInversion
    from resect.scenes.mesh.scene import MeshScene as MeshScene
    from resect.types import Cost as Cost
    from resect.types import Estimate as Estimate
    from resect.types import Hypotheses as Hypotheses
    from resect.types import Photo as Photo
    from resect.types import PhotoSet as PhotoSet
    from resect.types import Render as Render
    from resect.types import RotationDensity as RotationDensity
    from resect.types import Split as Split
    from resect.types import Status as Status
    from resect.types import Target as Target
    from resect.types import Truth as Truth
    from resect.types import World as World
    from resect.zoo import load as load

__all__ = sorted([*_HOME, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'resect' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
