"""`--config FILE`: presets written as `key = value` lines by other NeRF and iNeRF programs, as flags of ours."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from resect.errors import ResectError, unknown_name

_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Key:
    """What a key becomes.

    Attributes:
        flag: name of the setting; empty where the key has no use here.
        value: text of the file → text of the flag; `None` leaves the flag out.
        why: what is said of a key without use.
        also: further flags and values that go with it.
    """

    flag: str = ""
    value: Callable[[str], str | None] = str
    why: str = ""
    also: tuple[str, ...] = ()


def _on(then: str) -> Callable[[str], str | None]:
    return lambda text: then if truth(text) else None


def _thousands(text: str) -> str:
    try:
        return str(round(1000 * float(text)))
    except (ValueError, OverflowError):
        raise ResectError("preset", "a number of thousands", repr(text)[:40]) from None


_PLACE = "say it on the command line"
_NO_USE: dict[str, Key] = {
    **{
        k: Key(why=_PLACE)
        for k in ("expname", "basedir", "datadir", "data_dir", "model_name", "output_dir", "ckpt_dir")
    },
    "dataset_type": Key(why="the format is told by the files"),
    **{
        k: Key(why="'resect fit' logs and saves by time")
        for k in ("i_print", "i_img", "i_weights", "i_testset", "i_video")
    },
    **{k: Key(why="formats bring their split; else --test every:8") for k in ("testskip", "llffhold")},
    "shape": Key(why="DeepVoxels is not read"),
    "spherify": Key(why="worlds are never turned or rescaled; 'auto' finds where a place lies"),
    "factor": Key(why="photos are area-averaged to max_side"),
    "render_factor": Key(why="'resect render --max-side'"),
    "netchunk": Key(why="rays_at_once bounds the memory"),
    **{k: Key(why="both networks have one size") for k in ("netdepth_fine", "netwidth_fine")},
    "i_embed": Key(why="Fourier encoding; 0 octaves is none"),
    "no_reload": Key(why="--overwrite"),
    "ft_path": Key(why="'resect import'"),
    "no_batching": Key(why="batches are of all photos"),
    **{k: Key(why="'resect render'") for k in ("render_only", "render_test")},
}
_NETWORK: dict[str, Key] = {
    "netdepth": Key("depth"),
    "netwidth": Key("width"),
    "n_samples": Key("samples"),
    "n_importance": Key("finer-samples"),
    "multires": Key("octaves"),
    "multires_views": Key("view-octaves"),
    "use_viewdirs": Key("no-view-directions", lambda text: None if truth(text) else ""),
    "raw_noise_std": Key("density-noise"),
    "lindisp": Key("in-disparity", lambda text: str(truth(text))),
    "no_ndc": Key("warped", _on("no")),
    "white_bkgd": Key("background", lambda text: "white" if truth(text) else "black"),
    "half_res": Key("max-side", _on("400")),
    "chunk": Key("rays-at-once"),
    "perturb": Key(why="samples are jittered while training, never while rendering"),
}
NERF: dict[str, Key] = {
    **_NO_USE,
    **_NETWORK,
    "n_rand": Key("batch"),
    "lrate": Key("rate"),
    "lrate_decay": Key("drop-every", _thousands, also=("schedule", "exponential")),
    "n_iters": Key("steps"),
    "precrop_iters": Key("centre-steps"),
    "precrop_frac": Key("centre-share"),
}
"""Keys of programs that train a NeRF."""
_FIXED = "the network is that of --scene"
INERF: dict[str, Key] = {
    **_NO_USE,
    **{k: Key(why=_FIXED) for k in _NETWORK},
    "batch_size": Key("rays"),
    "lrate": Key("rate"),
    "sampling_strategy": Key("pixels"),
    "kernel_size": Key("box"),
    "dil_iter": Key("growths"),
    "n_steps": Key("steps"),
    "raw_noise_std": Key(why="densities are never noisy while a pose is sought"),
    **{
        k: Key(why="a start is given as --start, or made by 'resect benchmark'")
        for k in ("delta_phi", "delta_theta", "delta_psi", "delta_t", "obs_img_num")
    },
    **{k: Key(why="'resect benchmark --noise --brightness'") for k in ("noise", "sigma", "amount", "delta_brightness")},
    "overlay": Key(why="--out writes the film"),
    **{
        k: Key(why="--prior POSECNN: its masks say which pixels are compared")
        for k in ("mask_region", "posecnn_init_pose", "posecnn_dir")
    },
}
"""Keys of programs that invert one."""
_OTHERS = ((NERF, "of 'resect fit nerf'"), (INERF, "of 'resect estimate --refiner inerf'"))


def with_preset(
    arguments: Sequence[str], prefix: str, keys: Mapping[str, Key], say: Callable[[str], None]
) -> list[str]:
    """The arguments with `--config FILE` replaced by the flags it stands for; flags given beside it win.

    Args:
        arguments: of a verb.
        prefix: of the settings' flags.
        keys: what the keys of the file become.
        say: told what is left out, and why.

    Raises:
        ResectError: no such file, a line that is none, or a key that does not exist, naming the nearest ones.
    """
    rest, file = list(arguments), None
    for i, word in enumerate(rest):
        if word == "--config" and i + 1 < len(rest):
            file = rest[i + 1]
            del rest[i : i + 2]
            break
        if word.startswith("--config="):
            file = rest.pop(i).partition("=")[2]
            break
    if file is None:
        return rest
    flags: list[str] = []
    for key, value in read_preset(Path(file)).items():
        found = keys.get(key.lower()) or _of_the_other(key, file)
        text = found.value(value) if found.flag else None
        if not found.flag:
            say(f"{file}: '{key}' is left out: {found.why}")
        elif text is not None:
            flags += [f"--{prefix}.{found.flag}", *([text] if text else [])]
            flags += [f"--{prefix}.{x}" if i % 2 == 0 else x for i, x in enumerate(found.also)]
    return flags + rest


def _of_the_other(key: str, file: str) -> Key:
    """A key that only the other kind of program knows, as one without use here."""
    why = next((why for keys, why in _OTHERS if key.lower() in keys), None)
    if why is None:
        raise unknown_name(f"{file}: key", key, {**NERF, **INERF})
    return Key(why=why)


def read_preset(path: Path) -> dict[str, str]:
    """Key → value, as text; '#' begins a remark, a key alone means true."""
    if not path.is_file():
        raise ResectError(path, "a file of key = value lines", "no file")
    if path.stat().st_size > _MOST_BYTES:
        raise ResectError(path, f"at most {_MOST_BYTES >> 20} MiB", "a larger one")
    found: dict[str, str] = {}
    for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        key, _, value = (part.strip() for part in text.partition("="))
        if not key.replace("_", "").isalnum():
            raise ResectError(f"{path}: line {number}", "key = value", repr(line)[:60])
        found[key] = value or "True"
    return found


def truth(text: str) -> bool:
    """Whether a value means yes."""
    if text.lower() in ("true", "1", "yes", "on"):
        return True
    if text.lower() in ("false", "0", "no", "off", "none"):
        return False
    raise ResectError("preset", "True or False", repr(text)[:40])
