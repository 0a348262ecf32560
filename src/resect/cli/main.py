"""`resect VERB …`: finds the verb, runs it, turns errors into messages and exit codes. Imports nothing heavy."""

import errno
import importlib
import os
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
    "data": ("resect.cli.data", "check, convert, make, pose and scale datasets"),
    "info": ("resect.cli.info", "what a file or folder is"),
    "list": ("resect.cli.catalog", "what there is: scenes, priors, refiners"),
    "cite": ("resect.cli.cite", "BibTeX of the methods"),
    "doctor": ("resect.cli.doctor", "versions, device, one timed render"),
}

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


def entry() -> None:
    """The console script."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: list[str]) -> int:
    """Runs one command line and returns its exit code."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_HELP.format(verbs="\n".join(f"  {name:<10} {line}" for name, (_, line) in VERBS.items())))
        return DONE
    if arguments[0] == "--version":
        from resect import __version__

        print(f"resect {__version__}")
        return DONE
    return _guarded(arguments[0], arguments[1:])


def _guarded(verb: str, arguments: list[str]) -> int:
    from resect.errors import ResectError, unknown_name

    # PyTorch reads this when it is imported: huge pages make large CPU tensors 1.3 to 2.4 times faster.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    # Read by OpenMP: threads that wait sleep instead of spinning, which on a busy machine is twice as fast.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        if verb not in VERBS:
            raise unknown_name("resect", verb, VERBS)
        module = importlib.import_module(VERBS[verb][0])
        return int(module.run(arguments))
    except ResectError as error:
        print(f"resect {verb}: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from what was saved", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT):
            print(
                f"resect {verb}: {error.filename or 'writing'}: {error.strerror}. Free or choose a place.",
                file=sys.stderr,
            )
            return BAD_INPUT
        traceback.print_exc()
        return BUG
