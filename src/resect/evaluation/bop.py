"""Scores of a BOP results file: average recall of VSD, MSSD and MSPD, ADD(-S) at 0.1 diameter, 5° 5 cm.

Judged are the objects of which at least a tenth is visible. Of the estimates of an object in an image, as many as it
has judged instances, the best scored ones, are matched; what has no estimate has failed. The BOP challenge asks for
those in `test_targets_bop19.json` instead, which differ by a few objects: figures over them are given beside.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from resect.data.bop import BopFolder, BopResult, read_bop, read_results
from resect.data.bop.results import seconds_per_image
from resect.errors import ResectError
from resect.evaluation.bop_errors import THRESHOLDS, DepthRenderer, Pairs, mesh_renderer, pair_errors
from resect.metrics.average_recall import average_recall, match
from resect.metrics.visible_surface import DELTA_M

LEAST_VISIBLE = 0.1


@dataclass(frozen=True)
class BopFigures:
    """Figures over some objects.

    Attributes:
        objects: how many instances were judged.
        missing: how many of them have no estimate.
        all: key → figure over all instances.
        per_object: object id → key → figure.
    """

    objects: int
    missing: int
    all: Mapping[str, float]
    per_object: Mapping[str, Mapping[str, float]]

    @property
    def mean_over_objects(self) -> dict[str, float]:
        """Each key's mean over the kinds of objects, as ADD(-S) is often published."""
        rows = list(self.per_object.values())
        return {key: sum(row[key] for row in rows) / len(rows) for key in self.all} if rows else {}


@dataclass(frozen=True)
class BopScore:
    """What a results file is worth.

    Attributes:
        visible: over the objects that are visible enough.
        targets: over the targets that the dataset lists, if it does.
        estimates: rows in the file.
        unknown: rows of images that are not in the folder.
        seconds: mean time of an image, where the file says it.
        notes: what a reader of the numbers should know.
    """

    visible: BopFigures
    targets: BopFigures | None
    estimates: int
    unknown: int
    seconds: float | None
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """What `resect score --json` prints."""
        return {
            **self.visible.all,
            "objects": self.visible.objects,
            "missing": self.visible.missing,
            "estimates": self.estimates,
            "unknown": self.unknown,
            "mean_over_objects": self.visible.mean_over_objects,
            "per_object": {key: dict(row) for key, row in self.visible.per_object.items()},
            "bop_targets": None if self.targets is None else {"objects": self.targets.objects, **self.targets.all},
            "seconds_per_image": self.seconds,
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """A table: one column a figure, one row an object."""
        keys = list(self.visible.all)
        rows = [("object", *keys)]
        rows += [(name, *(f"{row[k]:.3f}" for k in keys)) for name, row in self.visible.per_object.items()]
        rows.append(("all", *(f"{self.visible.all[k]:.3f}" for k in keys)))
        if self.targets is not None:
            rows.append(("BOP targets", *(f"{self.targets.all[k]:.3f}" for k in keys)))
        width = max(12, *(len(k) + 2 for k in keys))
        lines = ["".join(cell.ljust(12) if i == 0 else cell.rjust(width) for i, cell in enumerate(r)) for r in rows]
        said = f"{self.visible.objects} objects of which {self.visible.missing} have no estimate"
        return "\n".join([*lines, "", said, *(f"note: {n}" for n in self.notes)])


def score_bop(
    results: BopResult | Path | str,
    folder: BopFolder | Path | str,
    *,
    render_depth: DepthRenderer | None = None,
    vsd_delta_m: float = DELTA_M,
) -> BopScore:
    """Judges a results file against a BOP dataset, split or scene.

    Args:
        results: the file.
        folder: with models, models_info.json and scene_gt.json.
        render_depth: for VSD; by default the models are rendered where the folder has depth.
        vsd_delta_m: tolerance of VSD's visibility test in metres; BOP takes 0.005 for ITODD.

    Raises:
        ResectError: unreadable files, no model of a scored object, or a file of other images.
    """
    result = results if isinstance(results, BopResult) else read_results(results)
    dataset = folder if isinstance(folder, BopFolder) else read_bop(folder)
    keys = set(dataset.images)
    unknown = sum(key not in keys for key in zip(result.scene, result.image, strict=True))
    if len(result) and unknown == len(result):
        got = f"scene {result.scene[0]}, image {result.image[0]} and others"
        raise ResectError(dataset.root, "images of the results file", got, "Give the dataset that was estimated.")
    has_depth = any(image.depth is not None for image in dataset.images.values())
    if render_depth is None and has_depth:
        render_depth = mesh_renderer(dataset)
    pairs = pair_errors(result, dataset, render_depth if has_depth else None, vsd_delta_m)
    visible = [k for k, o in enumerate(dataset.objects) if o.visible is None or o.visible >= LEAST_VISIBLE]
    notes = [*dataset.notes, *result.notes]
    if unknown:
        notes.append(f"{unknown} of {len(result)} estimates are of images that are not here, and count nowhere.")
    listed = None if dataset.targets is None else _figures(_listed(dataset), pairs, result, dataset)
    found = _figures(visible, pairs, result, dataset)
    return BopScore(found, listed, len(result), unknown, seconds_per_image(result), tuple(notes))


def _listed(folder: BopFolder) -> list[int]:
    """The most visible instances of each listed target, as many as it asks for."""
    groups: dict[tuple[int, int, int], list[int]] = {}
    for k, o in enumerate(folder.objects):
        groups.setdefault((o.scene, o.image, o.object_id), []).append(k)
    chosen: list[int] = []
    for key, count in (folder.targets or {}).items():
        chosen += sorted(groups.get(key, ()), key=lambda k: -(folder.objects[k].visible or 0.0))[:count]
    return sorted(chosen)


def _figures(judged: Sequence[int], pairs: Pairs, result: BopResult, folder: BopFolder) -> BopFigures:
    found, missing = _found(judged, pairs, result, folder)
    ids = torch.tensor([folder.objects[k].object_id for k in judged])
    every = _keys(found, torch.ones(len(judged), dtype=torch.bool))
    per_object = {str(n): _keys(found, ids == n) for n in sorted(set(ids.tolist()))}
    return BopFigures(len(judged), missing, every, per_object)


def _keys(found: Mapping[str, Bool[Tensor, "k n"]], which: Bool[Tensor, "n"]) -> dict[str, float]:
    share = {name: average_recall(hits[:, which]) for name, hits in found.items()}
    errors = [name for name in ("vsd", "mssd", "mspd") if name in share]
    mean = sum(share[name] for name in errors) / len(errors)
    figures = {"ar" if "vsd" in errors else "ar_no_vsd": mean}
    figures |= {f"ar_{name}": share[name] for name in errors}
    return figures | {name: share[name] for name in ("add_s_0.1d", "recall_5deg_5cm")}


def _found(
    judged: Sequence[int], pairs: Pairs, result: BopResult, folder: BopFolder
) -> tuple[dict[str, Bool[Tensor, "k n"]], int]:
    """At each threshold of each error, whether each judged instance is found; and how many have no estimate."""
    column = {k: i for i, k in enumerate(judged)}
    groups: dict[tuple[int, int, int], list[int]] = {}
    for p, k in enumerate(pairs.truth.tolist()):
        if k in column:
            o = folder.objects[k]
            groups.setdefault((o.scene, o.image, o.object_id), []).append(p)
    limits = {name: torch.tensor(THRESHOLDS[name], dtype=torch.float64) for name in pairs.errors}
    found = {
        name: torch.zeros(errors.shape[1] * len(limits[name]), len(judged), dtype=torch.bool)
        for name, errors in pairs.errors.items()
    }
    answered = 0
    for members in groups.values():
        truths = sorted({int(pairs.truth[p]) for p in members})
        rows, table = _table(members, truths, pairs, result)
        answered += min(len(rows), len(truths))
        score = torch.tensor([result.score[r] for r in rows], dtype=torch.float64)
        at = torch.tensor([column[k] for k in truths])
        for name, errors in pairs.errors.items():
            taken = [match(errors[table, c], score, limits[name]) >= 0 for c in range(errors.shape[1])]
            found[name][:, at] = torch.cat(taken)
    return found, len(judged) - answered


def _table(members: Sequence[int], truths: Sequence[int], pairs: Pairs, result: BopResult) -> tuple[list[int], Tensor]:
    """The estimates of one object in one image that are looked at, and the pair of each with each judged instance."""
    place = {(int(pairs.estimate[p]), int(pairs.truth[p])): p for p in members}
    rows = sorted({row for row, _ in place}, key=lambda row: (-result.score[row], row))[: len(truths)]
    return rows, torch.tensor([[place[row, k] for k in truths] for row in rows])
