"""The one table: what resect has by name. A dict literal: no registration, nothing imported until it is asked for."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from resect.errors import ResectError, unknown_name


@dataclass(frozen=True)
class Entry:
    """One named method.

    Attributes:
        role: what it is in guess → invert → judge; a "shape" makes the mesh that becomes a scene.
        line: what it does, in one line.
        settings: "module:Class" of its frozen dataclass of settings.
        fit: "module:function" that makes its artefact; empty where there is nothing to learn.
        load: "module:function" that reads its artefact.
        cite: keys in `CITATIONS`.
    """

    role: Literal["scene", "prior", "refiner", "shape"]
    line: str
    settings: str = ""
    fit: str = ""
    load: str = ""
    cite: tuple[str, ...] = ()


ZOO: dict[str, Entry] = {
    "field": Entry(
        "scene",
        "explicit volumetric field; learns a place from posed photos in seconds on a CPU",
        settings="resect.scenes.field.settings:FieldSettings",
        fit="resect.scenes.field.fit:fit",
        load="resect.scenes.field.scene:Field.load",
        cite=("nerf", "plenoxels", "mipnerf360"),
    ),
    "landmarks": Entry(
        "prior",
        "SIFT points triangulated from the training photos, matched to the new photo, PnP",
        settings="resect.priors.landmarks.settings:LandmarkSettings",
        fit="resect.priors.landmarks.fit:fit",
        load="resect.priors.landmarks.prior:Landmarks.load",
        cite=("sift", "colmap"),
    ),
    "retrieval": Entry(
        "prior",
        "poses of the training photos that look most alike",
        settings="resect.priors.retrieval_settings:RetrievalSettings",
        fit="resect.priors.retrieval:fit",
        load="resect.priors.retrieval:Retrieval.load",
    ),
    "occupancy": Entry(
        "shape",
        "mesh of an object from one photo: an occupancy network small enough for a CPU",
        settings="resect.shape.settings:OccupancySettings",
        fit="resect.shape.fit:fit",
        load="resect.shape.occupancy:Occupancy.load",
        cite=("occupancy", "resnet"),
    ),
    "occupancy-full": Entry(
        "shape",
        "the occupancy network as published; for a GPU",
        settings="resect.shape.settings:PublishedOccupancySettings",
        fit="resect.shape.fit:fit",
        load="resect.shape.occupancy:Occupancy.load",
        cite=("occupancy", "resnet"),
    ),
    "viewpoint": Entry(
        "prior",
        "viewpoint of an object of a known category from its crop: peaks of a classifier of angles",
        settings="resect.priors.viewpoint.settings:ViewpointSettings",
        fit="resect.priors.viewpoint.fit:fit",
        load="resect.priors.viewpoint.prior:Viewpoint.load",
        cite=("renderforcnn", "resnet"),
    ),
    "viewpoint-full": Entry(
        "prior",
        "the viewpoint network as published but for its encoder; for a GPU",
        settings="resect.priors.viewpoint.settings:PublishedViewpointSettings",
        fit="resect.priors.viewpoint.fit:fit",
        load="resect.priors.viewpoint.prior:Viewpoint.load",
        cite=("renderforcnn", "resnet"),
    ),
    "mesh": Entry("scene", "a known object: PLY, OBJ, OFF, STL, GLB or glTF as it is; nothing to learn"),
    "views": Entry("prior", "every rotation of a known object, laid into its visible box or mask", cite=("deep3dbox",)),
    "object": Entry(
        "refiner",
        "pose of a known object in clutter: templates, then outline and surface; modes, covariance, status",
        cite=("responsemaps", "pwp3d", "rbgn"),
    ),
    "view-sphere": Entry("prior", "many poses around the scene; needs no photo of it"),
    "given": Entry("prior", "a start from the user, with its uncertainty"),
}

CITATIONS: dict[str, str] = {
    "nerf": """@inproceedings{mildenhall2020nerf,
  title={{NeRF}: Representing Scenes as Neural Radiance Fields for View Synthesis},
  author={Mildenhall, Ben and Srinivasan, Pratul P. and Tancik, Matthew and Barron, Jonathan T. and Ramamoorthi, Ravi
    and Ng, Ren}, booktitle={ECCV}, year={2020}}""",
    "plenoxels": """@inproceedings{fridovichkeil2022plenoxels,
  title={Plenoxels: Radiance Fields without Neural Networks},
  author={Fridovich-Keil, Sara and Yu, Alex and Tancik, Matthew and Chen, Qinhong and Recht, Benjamin and Kanazawa,
    Angjoo}, booktitle={CVPR}, year={2022}}""",
    "mipnerf360": """@inproceedings{barron2022mipnerf360,
  title={Mip-{NeRF} 360: Unbounded Anti-Aliased Neural Radiance Fields},
  author={Barron, Jonathan T. and Mildenhall, Ben and Verbin, Dor and Srinivasan, Pratul P. and Hedman, Peter},
  booktitle={CVPR}, year={2022}}""",
    "inerf": """@inproceedings{yenchen2021inerf,
  title={{iNeRF}: Inverting Neural Radiance Fields for Pose Estimation},
  author={Yen-Chen, Lin and Florence, Pete and Barron, Jonathan T. and Rodriguez, Alberto and Isola, Phillip and Lin,
    Tsung-Yi}, booktitle={IROS}, year={2021}}""",
    "occupancy": """@inproceedings{mescheder2019occupancy,
  title={Occupancy Networks: Learning {3D} Reconstruction in Function Space},
  author={Mescheder, Lars and Oechsle, Michael and Niemeyer, Michael and Nowozin, Sebastian and Geiger, Andreas},
  booktitle={CVPR}, year={2019}}""",
    "resnet": """@inproceedings{he2016resnet,
  title={Deep Residual Learning for Image Recognition},
  author={He, Kaiming and Zhang, Xiangyu and Ren, Shaoqing and Sun, Jian}, booktitle={CVPR}, year={2016}}""",
    "renderforcnn": """@inproceedings{su2015render,
  title={Render for {CNN}: Viewpoint Estimation in Images Using {CNN}s Trained with Rendered {3D} Model Views},
  author={Su, Hao and Qi, Charles R. and Li, Yangyan and Guibas, Leonidas J.}, booktitle={ICCV}, year={2015}}""",
    "deep3dbox": """@inproceedings{mousavian2017deep3dbox,
  title={{3D} Bounding Box Estimation Using Deep Learning and Geometry},
  author={Mousavian, Arsalan and Anguelov, Dragomir and Flynn, John and Ko\\v{s}eck\\'a, Jana},
  booktitle={CVPR}, year={2017}}""",
    "responsemaps": """@article{hinterstoisser2012gradient,
  title={Gradient Response Maps for Real-Time Detection of Textureless Objects},
  author={Hinterstoisser, Stefan and Cagniart, Cedric and Ilic, Slobodan and Sturm, Peter and Navab, Nassir and Fua,
    Pascal and Lepetit, Vincent}, journal={TPAMI}, volume={34}, number={5}, pages={876--888}, year={2012}}""",
    "pwp3d": """@article{prisacariu2012pwp3d,
  title={{PWP3D}: Real-Time Segmentation and Tracking of {3D} Objects},
  author={Prisacariu, Victor A. and Reid, Ian D.}, journal={IJCV}, volume={98}, pages={335--354}, year={2012}}""",
    "rbgn": """@article{tjaden2019region,
  title={A Region-Based {Gauss}--{Newton} Approach to Real-Time Monocular Multiple Object Tracking},
  author={Tjaden, Henning and Schwanecke, Ulrich and Sch\\"omer, Elmar and Cremers, Daniel},
  journal={TPAMI}, volume={41}, number={8}, pages={1797--1812}, year={2019}}""",
    "sift": """@article{lowe2004sift,
  title={Distinctive Image Features from Scale-Invariant Keypoints},
  author={Lowe, David G.}, journal={IJCV}, volume={60}, number={2}, pages={91--110}, year={2004}}""",
    "colmap": """@inproceedings{schoenberger2016sfm,
  title={Structure-from-Motion Revisited},
  author={Sch\\"onberger, Johannes Lutz and Frahm, Jan-Michael}, booktitle={CVPR}, year={2016}}""",
}


def entry(name: str, *, role: str | None = None, fitted: bool = False) -> Entry:
    """The entry of a name; unknown names list the near ones."""
    fits = {k: e for k, e in ZOO.items() if (role is None or e.role == role) and (e.fit or not fitted)}
    if name not in fits:
        raise unknown_name(f"name of a {role}" if role else "name", name, fits)
    return fits[name]


def resolve(path: str) -> Any:
    """The object behind "module:attribute.attribute"."""
    module, _, attributes = path.partition(":")
    found: Any = importlib.import_module(module)
    for attribute in attributes.split("."):
        found = getattr(found, attribute)
    return found


def role_of(folder: Path | str) -> str:
    """Whether an artefact folder holds a "scene", a "prior" or a "shape"; a mesh file is a scene."""
    from resect import artifact

    if Path(folder).is_file():
        return "scene"
    kind = artifact.read_facts(folder)["kind"]
    if kind not in ZOO or not ZOO[kind].load:
        known = sorted(k for k, e in ZOO.items() if e.load)
        raise ResectError(folder, f"an artefact of kind {', '.join(known)}", repr(kind))
    return ZOO[kind].role


def load(folder: Path | str, *, role: Literal["scene", "prior", "shape"] | None = None) -> Any:
    """The scene, prior or shape network in an artefact folder, or the scene that a mesh file is.

    Args:
        folder: what 'resect fit' made, or a PLY, OBJ, OFF, STL, GLB or glTF file.
        role: which of them it has to be.
    """
    from resect import artifact

    found = role_of(folder)
    if role is not None and found != role:
        raise ResectError(folder, f"the artefact of a {role}", f"that of a {found}")
    if Path(folder).is_file():
        return resolve("resect.scenes.mesh.scene:MeshScene")(resolve("resect.data.mesh:read_mesh")(folder))
    return resolve(ZOO[artifact.read_facts(folder)["kind"]].load)(Path(folder))
