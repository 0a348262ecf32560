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
        cite: keys in `resect.citations.CITATIONS`.
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
    "posenet": Entry(
        "prior",
        "pose regressed from the whole photo in one pass: PoseNet, its backbone as it is; minutes on a CPU",
        settings="resect.priors.posenet.settings:PoseNetSettings",
        fit="resect.priors.posenet.fit:fit",
        load="resect.priors.posenet.prior:PoseNet.load",
        cite=("posenet", "geometricloss", "mobilenetv2"),
    ),
    "posenet-full": Entry(
        "prior",
        "PoseNet as published for rooms, all of it trained; for a GPU",
        settings="resect.priors.posenet.settings:PublishedPoseNetSettings",
        fit="resect.priors.posenet.fit:fit",
        load="resect.priors.posenet.prior:PoseNet.load",
        cite=("posenet", "geometricloss", "poseautoencoders"),
    ),
    "posenet-outdoor": Entry(
        "prior",
        "PoseNet as published for streets and squares; for a GPU",
        settings="resect.priors.posenet.settings:OutdoorPoseNetSettings",
        fit="resect.priors.posenet.fit:fit",
        load="resect.priors.posenet.prior:PoseNet.load",
        cite=("posenet", "geometricloss", "poseautoencoders"),
    ),
    "ms-transformer": Entry(
        "prior",
        "pose regressed by transformers, in several places at once, which it tells apart; minutes on a CPU",
        settings="resect.priors.ms_transformer.settings:MSTransformerSettings",
        fit="resect.priors.ms_transformer.fit:fit",
        load="resect.priors.ms_transformer.prior:MSTransformer.load",
        cite=("mstransformer", "detr", "mobilenetv2"),
    ),
    "ms-transformer-full": Entry(
        "prior",
        "MS-Transformer as published for rooms; for a GPU",
        settings="resect.priors.ms_transformer.settings:PublishedMSTransformerSettings",
        fit="resect.priors.ms_transformer.fit:fit",
        load="resect.priors.ms_transformer.prior:MSTransformer.load",
        cite=("mstransformer", "detr", "efficientnet"),
    ),
    "ms-transformer-outdoor": Entry(
        "prior",
        "MS-Transformer as published for streets and squares, first stage; for a GPU",
        settings="resect.priors.ms_transformer.settings:OutdoorMSTransformerSettings",
        fit="resect.priors.ms_transformer.fit:fit",
        load="resect.priors.ms_transformer.prior:MSTransformer.load",
        cite=("mstransformer", "detr", "efficientnet"),
    ),
    "ms-transformer-finetune": Entry(
        "prior",
        "its second stage, positions alone, begun from the first; for a GPU",
        settings="resect.priors.ms_transformer.settings:FinetunedMSTransformerSettings",
        fit="resect.priors.ms_transformer.fit:fit",
        load="resect.priors.ms_transformer.prior:MSTransformer.load",
        cite=("mstransformer", "detr", "efficientnet"),
    ),
    "image-decoder": Entry(
        "scene",
        "a picture of 64 pixels a side from a pose, through the latents of a pose decoder",
        settings="resect.scenes.image_decoder.settings:ImageDecoderSettings",
        fit="resect.scenes.image_decoder.fit:fit",
        load="resect.taught:load_image_decoder",
        cite=("poseautoencoders",),
    ),
    "rpr": Entry(
        "prior",
        "a regressor's pose corrected by comparing the photo's latent with that of the training photo nearest to it",
        settings="resect.priors.relative.settings:RelativeSettings",
        fit="resect.priors.relative.fit:fit",
        load="resect.taught:load_relative",
        cite=("poseautoencoders",),
    ),
    "iapr": Entry(
        "prior",
        "the same against latents that a pose decoder gives for any pose, a few times in a row",
        settings="resect.priors.relative.settings:IterativeSettings",
        fit="resect.priors.relative.fit:fit",
        load="resect.taught:load_relative",
        cite=("poseautoencoders",),
    ),
    "pose-decoder": Entry(
        "scene",
        "pose auto-encoder: what a pose regressor would think of a photo from there; scores 10 000 poses in no time",
        settings="resect.scenes.pose_decoder.settings:PoseDecoderSettings",
        fit="resect.scenes.pose_decoder.fit:fit",
        load="resect.taught:load_pose_decoder",
        cite=("poseautoencoders",),
    ),
    "pose-decoder-full": Entry(
        "scene",
        "the pose auto-encoder as published, but with a pose loss that has a gradient; for a GPU",
        settings="resect.scenes.pose_decoder.settings:PublishedPoseDecoderSettings",
        fit="resect.scenes.pose_decoder.fit:fit",
        load="resect.taught:load_pose_decoder",
        cite=("poseautoencoders",),
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
    "image2sphere": Entry(
        "prior",
        "density over rotations of an object from its crop, by a network that turns with the picture",
        settings="resect.priors.image2sphere.settings:Image2SphereSettings",
        fit="resect.priors.image2sphere.fit:fit",
        load="resect.priors.image2sphere.prior:load_image2sphere",
        cite=("image2sphere", "resnet"),
    ),
    "image2sphere-full": Entry(
        "prior",
        "Image2Sphere at its published size; for a GPU",
        settings="resect.priors.image2sphere.settings:PublishedImage2SphereSettings",
        fit="resect.priors.image2sphere.fit:fit",
        load="resect.priors.image2sphere.prior:load_image2sphere",
        cite=("image2sphere", "resnet"),
    ),
    "ipdf": Entry(
        "prior",
        "density over rotations of an object from its crop, by a network asked about one rotation at a time",
        settings="resect.priors.ipdf.settings:ImplicitPdfSettings",
        fit="resect.priors.ipdf.fit:fit",
        load="resect.priors.ipdf.prior:load_ipdf",
        cite=("ipdf", "resnet"),
    ),
    "ipdf-full": Entry(
        "prior",
        "Implicit-PDF at its published size; for a GPU",
        settings="resect.priors.ipdf.settings:PublishedImplicitPdfSettings",
        fit="resect.priors.ipdf.fit:fit",
        load="resect.priors.ipdf.prior:load_ipdf",
        cite=("ipdf", "resnet"),
    ),
    "posecnn": Entry(
        "prior",
        "known objects in a photo: masks, centres by voting, poses; small enough for a CPU",
        settings="resect.priors.posecnn.settings:PoseCnnSettings",
        fit="resect.priors.posecnn.fit:fit",
        load="resect.priors.posecnn.prior:PoseCnn.load",
        cite=("posecnn", "epos", "surfemb", "mobilenetv2"),
    ),
    "posecnn-full": Entry(
        "prior",
        "PoseCNN on VGG-16 at its published size; for a GPU",
        settings="resect.priors.posecnn.settings:PublishedPoseCnnSettings",
        fit="resect.priors.posecnn.fit:fit",
        load="resect.priors.posecnn.prior:PoseCnn.load",
        cite=("posecnn", "epos", "surfemb"),
    ),
    "object-frames": Entry(
        "prior",
        "the camera's pose in a place from known objects that stand in it, by a detector of them",
        settings="resect.priors.object_frames.settings:ObjectFrameSettings",
        fit="resect.priors.object_frames.prior:fit",
        load="resect.taught:load_object_frames",
        cite=("posecnn",),
    ),
    "nerf": Entry(
        "scene",
        "NeRF in a small size; learns slowly, for comparison and for other people's checkpoints",
        settings="resect.scenes.nerf.settings:NerfSettings",
        fit="resect.scenes.nerf.fit:fit",
        load="resect.scenes.nerf.scene:Nerf.load",
        cite=("nerf",),
    ),
    "nerf-full": Entry(
        "scene",
        "NeRF at its published size; for a GPU",
        settings="resect.scenes.nerf.settings:PublishedNerfSettings",
        fit="resect.scenes.nerf.fit:fit",
        load="resect.scenes.nerf.scene:Nerf.load",
        cite=("nerf",),
    ),
    "sigma-srn": Entry(
        "scene",
        "every instance of a category in one small network, each by a code",
        settings="resect.scenes.sigma_srn.settings:SigmaSrnSettings",
        fit="resect.scenes.sigma_srn.fit:fit",
        load="resect.scenes.sigma_srn.scene:SigmaSrn.load",
        cite=("srn",),
    ),
    "sigma-srn-full": Entry(
        "scene",
        "the category network at its published size; for a GPU",
        settings="resect.scenes.sigma_srn.settings:PublishedSigmaSrnSettings",
        fit="resect.scenes.sigma_srn.fit:fit",
        load="resect.scenes.sigma_srn.scene:SigmaSrn.load",
        cite=("srn",),
    ),
    "sigma-srn-cars": Entry(
        "scene",
        "the same as published for cars: 64 pixels, then 128; for a GPU",
        settings="resect.scenes.sigma_srn.settings:CarsSigmaSrnSettings",
        fit="resect.scenes.sigma_srn.fit:fit",
        load="resect.scenes.sigma_srn.scene:SigmaSrn.load",
        cite=("srn",),
    ),
    "sigma-srn-chairs": Entry(
        "scene",
        "the same as published for chairs: 64 pixels, then 128; for a GPU",
        settings="resect.scenes.sigma_srn.settings:ChairsSigmaSrnSettings",
        fit="resect.scenes.sigma_srn.fit:fit",
        load="resect.scenes.sigma_srn.scene:SigmaSrn.load",
        cite=("srn",),
    ),
    "sigma-srn-shepard-metzler": Entry(
        "scene",
        "the same as published for Shepard–Metzler objects; for a GPU",
        settings="resect.scenes.sigma_srn.settings:ShepardMetzlerSigmaSrnSettings",
        fit="resect.scenes.sigma_srn.fit:fit",
        load="resect.scenes.sigma_srn.scene:SigmaSrn.load",
        cite=("srn",),
    ),
    "srn": Entry(
        "scene",
        "the baseline that sigma-srn extends: colour from the last place of a ray alone",
        settings="resect.scenes.sigma_srn.settings:SrnSettings",
        fit="resect.scenes.sigma_srn.fit:fit",
        load="resect.scenes.sigma_srn.scene:SigmaSrn.load",
        cite=("srn",),
    ),
    "mesh": Entry("scene", "a known object: PLY, OBJ, OFF, STL, GLB or glTF as it is; nothing to learn"),
    "views": Entry("prior", "every rotation of a known object, laid into its visible box or mask", cite=("deep3dbox",)),
    "inversion": Entry("refiner", "pose in a place: search, match, align, judge; what places are asked with"),
    "inerf": Entry(
        "refiner",
        "pose in a place by Adam on rays about keypoints, as published: 'estimate --refiner inerf'",
        cite=("inerf",),
    ),
    "object": Entry(
        "refiner",
        "pose of a known object in clutter: templates, then outline and surface; modes, covariance, status",
        cite=("responsemaps", "pwp3d", "rbgn"),
    ),
    "view-sphere": Entry("prior", "many poses around the scene; needs no photo of it"),
    "given": Entry("prior", "a start from the user, with its uncertainty"),
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
    facts = artifact.read_facts(folder)
    if "place" in facts:  # DIR/places/NAME: one of several that the artefact knows
        return resolve(ZOO[facts["kind"]].load)(Path(folder).parents[1]).of(str(facts["place"]))
    return resolve(ZOO[facts["kind"]].load)(Path(folder))
