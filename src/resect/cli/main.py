"""`resect VERB …`: finds the verb, runs it, turns errors into messages and exit codes. Imports nothing heavy."""

import errno
import importlib
import os
import signal
import sys
import traceback

VERBS: dict[str, tuple[str, str]] = {
    "demo": ("resect.cli.demo", "the whole way on built-in data; ends with a report to open"),
    "fit": ("resect.cli.fit", "learn a scene or a prior from posed photos"),
    "estimate": ("resect.cli.estimate", "poses of new photos"),
    "predict": ("resect.cli.predict", "poses of the held-out photos, to a file"),
    "score": ("resect.cli.score", "errors, recalls and a report of a pose file"),
    "compare": ("resect.cli.compare", "one table over several runs"),
    "benchmark": ("resect.cli.benchmark", "a published protocol, start to finish"),
    "render": ("resect.cli.render", "images or a video from a scene"),
    "reconstruct": ("resect.cli.reconstruct", "a mesh of the object in a photo, and its pose"),
    "track": ("resect.cli.track", "the camera's path from objects seen in a sequence"),
    "data": ("resect.cli.data", "list, get, check, convert, make, pose and scale datasets"),
    "mesh": ("resect.cli.mesh", "what is in a mesh file; simplify and convert it"),
    "import": ("resect.cli.import_checkpoint", "other people's checkpoints"),
    "info": ("resect.cli.info", "what a file or folder is"),
    "list": ("resect.cli.catalog", "what there is: scenes, priors, refiners"),
    "cite": ("resect.cli.cite", "BibTeX of the methods"),
    "doctor": ("resect.cli.doctor", "versions, device, one timed render"),
}
_RESUME = ("demo", "predict", "benchmark")  # keep each answer; what is fitted says itself what it has saved

_HELP = """resect: the pose of a camera or an object from a single image.

usage: resect VERB [NAME] PATH… [--flags]        resect VERB --help tells more

{verbs}

your own photos, posed (nerfstudio, COLMAP, …), in three commands:
  resect data check PHOTOS
  resect fit field PHOTOS --out runs/place
  resect estimate new.jpg --scene runs/place

Results go to stdout, progress to stderr; --json prints one JSON object on the last line.
Exit code: 0 done, 2 bad input, 3 some photos failed, 130 interrupted with state saved, 1 a bug.
"""

DONE, BUG, BAD_INPUT, SOME_FAILED, INTERRUPTED = 0, 1, 2, 3, 130

# What the file system says when a path or the disk is at fault, and not the program.
_FULL = {"ENOSPC", "EDQUOT", "EFBIG"}
_WRONG_PLACE = {"EACCES", "EPERM", "EROFS", "ENOENT", "ENOTDIR", "EISDIR", "EEXIST", "ENAMETOOLONG", "ELOOP", "EIO"}


def entry() -> None:
    """The console script."""
    if hasattr(signal, "SIGTERM"):  # whoever ends us politely gets what Ctrl-C gets: the state is saved
        signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    sys.exit(main(sys.argv[1:]))


def main(arguments: list[str]) -> int:
    """Runs one command line and returns its exit code."""
    # PyTorch reads this when it is imported: huge pages make large CPU tensors 1.3 to 2.4 times faster.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    # Read by OpenMP: threads that wait sleep instead of spinning, which on a busy machine is twice as fast.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except SystemExit as asked:  # of the parser of flags, after --help or a wrong flag
        return asked.code if isinstance(asked.code, int) else DONE if asked.code is None else BAD_INPUT


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_HELP.format(verbs="\n".join(f"  {name:<12} {line}" for name, (_, line) in VERBS.items())))
        return DONE
    if arguments[0] == "--version":
        from resect import __version__

        print(f"resect {__version__}")
        return DONE
    return _guarded(arguments[0], arguments[1:])


def _guarded(verb: str, arguments: list[str]) -> int:
    from resect.errors import ResectError, unknown_name

    try:
        if verb not in VERBS:
            raise unknown_name("verb", verb, VERBS)
        return int(importlib.import_module(VERBS[verb][0]).run(arguments))
    except ResectError as error:
        name = f"resect {verb}" if verb in VERBS else "resect"
        return _bad(str(error) if error.where.startswith(name) else f"{name}: {error}")
    except KeyboardInterrupt as error:
        what = f"interrupted: {error}" if str(error) else "interrupted"
        again = "; the same command goes on from what was saved" if str(error) or verb in _RESUME else ""
        _complain(f"\nresect {verb}: {what}{again}")
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except OSError as error:
        if errno.errorcode.get(error.errno or 0) in _FULL | _WRONG_PLACE:
            return _bad(f"resect {verb}: {_sentence(error)}")
        return _bug(verb)
    except Exception:
        return _bug(verb)


def _sentence(error: OSError) -> str:
    name = errno.errorcode[error.errno or 0]
    full = "What was there before is intact; free space, or choose another place, and give the same command again."
    fix = full if name in _FULL else "Check the path and who may read or write it."
    return f"{error.filename or 'writing'}: {error.strerror}. {fix}"


def _bad(message: str) -> int:
    _complain(message)
    return BAD_INPUT


def _bug(verb: str) -> int:
    _complain(f"{traceback.format_exc()}\nresect {verb}: this is a bug. Please report it with the lines above and ")
    _complain("what 'resect doctor' prints.")
    return BUG


def _complain(message: str) -> None:
    try:
        print(message, file=sys.stderr, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
