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
    "srn": """@inproceedings{sitzmann2019srn,
  title={Scene Representation Networks: Continuous {3D}-Structure-Aware Neural Scene Representations},
  author={Sitzmann, Vincent and Zollh\\\"{o}fer, Michael and Wetzstein, Gordon}, booktitle={NeurIPS}, year={2019}}""",
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
    "image2sphere": """@inproceedings{klee2023image2sphere,
  title={Image to Sphere: Learning Equivariant Features for Efficient Pose Prediction},
  author={Klee, David M. and Biza, Ondrej and Platt, Robert and Walters, Robin}, booktitle={ICLR}, year={2023}}""",
    "ipdf": """@inproceedings{murphy2021ipdf,
  title={Implicit-{PDF}: Non-Parametric Representation of Probability Distributions on the Rotation Manifold},
  author={Murphy, Kieran A. and Esteves, Carlos and Jampani, Varun and Ramalingam, Srikumar and Makadia, Ameesh},
  booktitle={ICML}, year={2021}}""",
    "occupancy": """@inproceedings{mescheder2019occupancy,
  title={Occupancy Networks: Learning {3D} Reconstruction in Function Space},
  author={Mescheder, Lars and Oechsle, Michael and Niemeyer, Michael and Nowozin, Sebastian and Geiger, Andreas},
  booktitle={CVPR}, year={2019}}""",
    "resnet": """@inproceedings{he2016resnet,
  title={Deep Residual Learning for Image Recognition},
  author={He, Kaiming and Zhang, Xiangyu and Ren, Shaoqing and Sun, Jian}, booktitle={CVPR}, year={2016}}""",
    "posenet": """@inproceedings{kendall2015posenet,
  title={{PoseNet}: A Convolutional Network for Real-Time 6-{DOF} Camera Relocalization},
  author={Kendall, Alex and Grimes, Matthew and Cipolla, Roberto}, booktitle={ICCV}, year={2015}}""",
    "geometricloss": """@inproceedings{kendall2017geometric,
  title={Geometric Loss Functions for Camera Pose Regression with Deep Learning},
  author={Kendall, Alex and Cipolla, Roberto}, booktitle={CVPR}, year={2017}}""",
    "mobilenetv2": """@inproceedings{sandler2018mobilenetv2,
  title={{MobileNetV2}: Inverted Residuals and Linear Bottlenecks},
  author={Sandler, Mark and Howard, Andrew and Zhu, Menglong and Zhmoginov, Andrey and Chen, Liang-Chieh},
  booktitle={CVPR}, year={2018}}""",
    "mstransformer": """@inproceedings{shavit2021learning,
  title={Learning Multi-Scene Absolute Pose Regression with Transformers},
  author={Shavit, Yoli and Ferens, Ron and Keller, Yosi}, booktitle={ICCV}, year={2021}}""",
    "detr": """@inproceedings{carion2020end,
  title={End-to-End Object Detection with Transformers},
  author={Carion, Nicolas and Massa, Francisco and Synnaeve, Gabriel and Usunier, Nicolas and Kirillov, Alexander and
    Zagoruyko, Sergey}, booktitle={ECCV}, year={2020}}""",
    "efficientnet": """@inproceedings{tan2019efficientnet,
  title={{EfficientNet}: Rethinking Model Scaling for Convolutional Neural Networks},
  author={Tan, Mingxing and Le, Quoc}, booktitle={ICML}, year={2019}}""",
    "poseautoencoders": """@inproceedings{shavit2022camera,
  title={Camera Pose Auto-Encoders for Improving Pose Regression},
  author={Shavit, Yoli and Keller, Yosi}, booktitle={ECCV}, year={2022}}""",
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
