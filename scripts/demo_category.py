"""Makes what `resect demo category` shows, from nothing: views of 200 chairs, the network, a density to begin from.

    python scripts/demo_category.py --device cuda

Five minutes each on a GPU, hours on a CPU; the same command goes on where it stopped. The logs of the trainings that
made the packaged networks are benchmarks/results/gpu/sigma-srn.jsonl and category-image2sphere.jsonl.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from resect import artifact
from resect.cli.data import run as data
from resect.cli.progress import bar
from resect.data.instances import read_instances
from resect.data.rotations.instances import rotations_of_views
from resect.int8 import quantized
from resect.priors.image2sphere.fit import fit as fit_density
from resect.priors.image2sphere.settings import Image2SphereSettings
from resect.scenes.sigma_srn.fit import fit as fit_network
from resect.scenes.sigma_srn.settings import SigmaSrnSettings

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Arguments:
    """Where."""

    work: Path = ROOT / "runs" / "demo-chairs"
    """Folder for views and trainings: views, network, density."""
    device: str = "cpu"
    """That they are trained on."""
    out: Path = ROOT / "src" / "resect" / "cli" / "demo_chairs"
    """Folder of the package."""


def main(flags: Arguments) -> None:
    """Makes what is missing."""
    views = flags.work / "views"
    data(["instances", "chair", "--out", str(views)])
    made = {
        "network": SigmaSrnSettings(steps=5000, batch=64, pixels=256, ahead=2, device=flags.device),
        "density": Image2SphereSettings(steps=3000, ahead=2, device=flags.device),
    }
    for name, settings in made.items():
        folder = flags.work / name
        if (folder / "artifact.json").is_file():
            continue
        with bar(name) as progress:
            generator = torch.Generator().manual_seed(0)
            if isinstance(settings, SigmaSrnSettings):
                chairs = read_instances(views / "train", settings.views)
                fit_network(chairs, settings, out=folder, resume=True, generator=generator, progress=progress)
            else:
                chairs = read_instances(views / "train")
                fit_density(
                    rotations_of_views(chairs),
                    settings,
                    out=folder,
                    resume=True,
                    generator=generator,
                    progress=progress,
                )
    pack(flags.work / "network", flags.out)
    pack(flags.work / "density", flags.out / "density")
    size = sum(p.stat().st_size for p in flags.out.rglob("*") if p.is_file())
    print(f"{flags.out}: {size / 1e6:.2f} MB")


def pack(made: Path, out: Path) -> None:
    """The same artefact in bytes, for a CPU."""
    found = artifact.load(made)
    settings = {**found.settings, "device": "cpu"}
    artifact.save(out, found.kind, settings, quantized(found.tensors), extra=found.extra, parents=found.parents)


if __name__ == "__main__":
    main(tyro.cli(Arguments))
