"""Makes the network that `resect demo category` shows, from nothing: views of 200 chairs, training, half precision.

    python scripts/demo_category.py [--minutes 70]

Takes about an hour on one core. The log of the training that made the packaged network is
benchmarks/results/demo-category-log.jsonl.
"""

import os
import shutil
import signal
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import tyro

from resect import artifact
from resect.cli.data import run as data
from resect.cli.progress import bar
from resect.data.instances import InstanceSet, read_instances
from resect.scenes.sigma_srn.fit import fit, learned_from, with_residual
from resect.scenes.sigma_srn.network import SigmaSrnNetwork
from resect.scenes.sigma_srn.scene import KIND, SigmaSrn, ready
from resect.scenes.sigma_srn.settings import SigmaSrnSettings
from resect.training.checkpoint import checkpoint_path, load_checkpoint

ROOT = Path(__file__).parents[1]
LEARNED = "network/network."


@dataclass(frozen=True)
class Arguments:
    """Where and how long."""

    work: Path = ROOT / "runs" / "demo-chairs"
    """Folder for views and training; the same command goes on where it stopped."""
    views: Path | None = None
    """Views that are there already, as 'resect data instances chair' makes them."""
    steps: int = 9000
    """Of the optimiser."""
    minutes: float = 70.0
    """Training is stopped then, and the network taken as it is."""
    out: Path = ROOT / "src" / "resect" / "cli" / "demo_chairs"
    """Folder of the package."""
    log: Path = ROOT / "benchmarks" / "results" / "demo-category-log.jsonl"
    """Where the training's log is kept."""


def main(flags: Arguments) -> None:
    """Makes what is missing."""
    torch.set_num_threads(1)
    views, run = flags.views or flags.work / "views", flags.work / "network"
    if flags.views is None:
        data(["instances", "chair", "--out", str(views)])
    learned = read_instances(views / "train", 50)
    settings = SigmaSrnSettings(steps=flags.steps)
    alarm = threading.Timer(60 * flags.minutes, lambda: os.kill(os.getpid(), signal.SIGINT))
    alarm.daemon = True
    alarm.start()
    try:
        with bar("training") as progress:
            generator = torch.Generator().manual_seed(0)
            made = fit(learned, settings, out=run, resume=True, generator=generator, progress=progress)
    except KeyboardInterrupt:
        made = as_it_is(run, learned)
    alarm.cancel()
    pack(made, flags.out)
    shutil.copy(run / "log.jsonl", flags.log)
    print(
        f"{flags.out}: {sum(p.stat().st_size for p in flags.out.iterdir()) / 1e6:.2f} MB, {made.learned.residual:.4f}"
    )


def as_it_is(run: Path, learned: InstanceSet) -> SigmaSrn:
    """The network of a training that was stopped."""
    import json

    from safetensors import safe_open

    with safe_open(checkpoint_path(run), framework="pt") as file:
        asked = json.loads(file.metadata()["facts"])["settings"]
    found = load_checkpoint(checkpoint_path(run), asked)
    assert found is not None
    settings = artifact.settings_from_json(SigmaSrnSettings, asked, run)
    network = SigmaSrnNetwork(settings, len(learned.names), 0)
    network.load_state_dict({k.removeprefix(LEARNED): v for k, v in found[0].items() if k.startswith(LEARNED)})
    return with_residual(SigmaSrn(ready(network, settings), settings, learned_from(learned)), learned, 0)


def pack(made: SigmaSrn, out: Path) -> None:
    """An artefact in half precision."""
    tensors = {k: v.half() for k, v in made.network.state_dict().items()}
    settings = replace(made.settings, device="cpu", tensorboard=False)
    artifact.save(out, KIND, settings, tensors, extra={"learned": artifact.as_json(made.learned)})


if __name__ == "__main__":
    main(tyro.cli(Arguments))
