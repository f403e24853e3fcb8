"""The command line: `learn2synth VERB`, `python -m Learn2SynthLib VERB`.

Only the words live here; what a verb does is in `commands`, imported when it is needed so that `--help` comes at once.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from . import __version__
from .config import STRATEGIES, explain_settings
from .errors import InputError
from .owner import owned
from .resources import names

DONE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130

_ABOUT = """Brain segmentation learned from synthetic images whose synthesis is learned from a few real scans.

  learn2synth demo                                        the whole story on real data, in minutes
  learn2synth train RUN --labels MAPS --real SCANS        train; RUN is a folder, and may be resumed
  learn2synth segment RUN image.nii.gz --output seg.nii.gz
  learn2synth evaluate --prediction seg.nii.gz --reference manual.nii.gz
  learn2synth preview --labels MAPS --output DIR          look at the images that would be trained on
  learn2synth inspect RUN                                 what was trained, on what, how well"""

_EXITS = "Exit codes: 0 done; 2 wrong input (one line says what); 130 interrupted, checkpoint kept; 1 anything else."


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb and returns its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names that the console's encoding lacks are no reason to fail
    sleep_while_waiting()
    parser = build_parser()
    options = parser.parse_args(arguments)
    if not hasattr(options, "verb"):
        parser.print_help()
        return DONE
    try:
        with owned(getattr(options, "owner", None)):
            code = getattr(import_module(f"{__package__}.commands"), options.verb)(options)
        print(end="", flush=True)
        return code
    except InputError as error:
        print(f"learn2synth: {error}", file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt:
        print("learn2synth: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # who read the output has gone, as `| head` does; Python would complain once more when it flushes at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def sleep_while_waiting() -> None:
    """Lets threads of GNU OpenMP, which torch has on Linux, sleep soon where they wait for each other; it must be said before torch is imported.

    By default they spin on, and where another program is busy too they take the cores from those that they wait for: beside two other busy processes, a
    training of slices on two cores took 12 times as long. Alone it takes the same time either way.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as for all other wrong input."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_INPUT, f"learn2synth: {message}; see {self.prog} --help\n")


def build_parser() -> argparse.ArgumentParser:
    parser = _Parser("learn2synth", description=_ABOUT, epilog=_EXITS, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=f"learn2synth {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")
    for add in (_train, _segment, _preview, _evaluate, _inspect, _environment, _demo):
        add(verbs)
    return parser


def _verb(verbs: argparse._SubParsersAction, name: str, summary: str, epilog: str = "") -> argparse.ArgumentParser:
    parser = verbs.add_parser(
        name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(verb=name)
    return parser


def _train(verbs: argparse._SubParsersAction) -> None:
    epilog = f"""A folder of scans is searched in BIDS layout (x_T1w.nii.gz beside x_dseg.nii.gz) or nnU-Net's (imagesTr/, labelsTr/).
Without --validation a quarter of the real scans only measures, if there are three or more.
RUN that exists is resumed when configuration and data are the same, otherwise refused; `learn2synth train RUN` alone resumes it with its own.
Ctrl-C, or a file named `stop` in RUN, stops after the current step and keeps everything.

example:
  learn2synth train my_run --labels label_maps/ --real annotated/ --validation held_out/ --strategy learn2synth

settings for --set KEY=VALUE, their defaults where no preset sets them (quick-2d sets some), their meaning:
{explain_settings()}"""
    parser = _verb(verbs, "train", "train a segmentation network into the folder RUN", epilog)
    parser.add_argument("run", metavar="RUN", help="folder of the run")
    parser.add_argument("--labels", nargs="+", action="extend", default=[], metavar="PATH", help="label maps to synthesise from: files or folders")
    for role, what in (("real", "annotated real scans to learn from"), ("validation", "annotated real scans that only measure")):
        parser.add_argument(
            f"--{role}", nargs="+", action="append", default=[], metavar="PATH", help=f"{what}: a folder, or an image and its labels (repeatable)"
        )
    parser.add_argument("--unlabelled", nargs="+", action="extend", default=[], metavar="IMAGE", help="real scans without labels, for strategies that use them")
    tables = ", ".join(names("Labels", ".json"))
    parser.add_argument(
        "--labels-ids", default="freesurfer", metavar="TABLE", help=f"what the numbers in --labels mean: {tables}, or a JSON file (default: freesurfer)"
    )
    parser.add_argument("--real-ids", default="freesurfer", metavar="TABLE", help="likewise for --real and --validation (default: freesurfer)")
    parser.add_argument("--target", metavar="TABLE", help="the table to predict (default: brain)")
    _add_preset(parser)
    explained = "; ".join(f"{name} {facts.summary}" for name, facts in STRATEGIES.items())
    parser.add_argument("--strategy", choices=tuple(STRATEGIES), help=f"how to train (default: learn2synth); {explained}")
    parser.add_argument(
        "--pretrained", metavar="FILE", help="begin with the weights of a model (.l2s), a run, a shipped model (its name) or MedicalNet's (.pth)"
    )
    parser.add_argument("--steps", type=int, metavar="N", help="training steps (default: those of the preset)")
    parser.add_argument("--seed", type=int, metavar="N", help="seed of every random choice")
    _add_device(parser)
    parser.add_argument("--check", action="store_true", help="only check the data; nothing is trained or written")
    parser.add_argument("--json", action="store_true", help="print events as JSON lines on stdout")
    _add_owner(parser)


def _segment(verbs: argparse._SubParsersAction) -> None:
    parser = _verb(verbs, "segment", "segment images; each output lies on its image's own grid")
    parser.add_argument("model", metavar="MODEL", help="a .l2s file, the folder of a run, or the name of a shipped model")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="NIfTI, NRRD, MHA, MGZ or a folder of DICOM files")
    parser.add_argument("--output", required=True, metavar="FILE|DIR", help="a file for one image, a folder for several")
    parser.add_argument("--volumes", metavar="CSV", help="write a table: the volume of every structure in mm3, and its estimated quality, 0 to 1")
    parser.add_argument("--probabilities", action="store_true", help="also write the probability of every structure")
    parser.add_argument("--flips", action="store_true", help="average over the left/right flip: slower, a little better")
    _add_device(parser)
    parser.add_argument("--json", action="store_true", help="print progress and results as JSON lines on stdout")
    _add_owner(parser)


def _preview(verbs: argparse._SubParsersAction) -> None:
    parser = _verb(verbs, "preview", "write synthetic images, their labels, their draws and a contact sheet")
    parser.add_argument("--labels", nargs="+", action="extend", required=True, metavar="PATH", help="label maps: files or folders")
    parser.add_argument("--labels-ids", default="freesurfer", metavar="TABLE", help="what their numbers mean (default: freesurfer)")
    parser.add_argument("--model", "--run", dest="model", metavar="MODEL|RUN", help="use what this model or run learned, beside its prior")
    _add_preset(parser)
    parser.add_argument("--output", required=True, metavar="DIR", help="folder to write to")
    parser.add_argument("--count", type=int, default=8, metavar="N", help="images (default: 8)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of every random choice (default: 0)")
    parser.add_argument("--draw", metavar="FILE", help="make the image of this draw again instead")


def _evaluate(verbs: argparse._SubParsersAction) -> None:
    parser = _verb(verbs, "evaluate", "compare segmentations with references: Dice, HD95 in mm, volume difference")
    parser.add_argument("--prediction", required=True, metavar="PATH", help="a segmentation, or a folder of them")
    parser.add_argument("--reference", required=True, metavar="PATH", help="a reference, or a folder with the same names")
    parser.add_argument(
        "--prediction-ids", metavar="TABLE", help="what its numbers mean (default: what the header of a segmentation by this program says, else brain)"
    )
    parser.add_argument("--reference-ids", default="freesurfer", metavar="TABLE", help="likewise (default: freesurfer)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _inspect(verbs: argparse._SubParsersAction) -> None:
    parser = _verb(verbs, "inspect", "tell the story of a run or a model in one screen")
    parser.add_argument("model", metavar="RUN|MODEL", help="the folder of a run, a .l2s file, or the name of a shipped model")


def _environment(verbs: argparse._SubParsersAction) -> None:
    parser = _verb(verbs, "environment", "say which versions and devices this computer offers; for reports of problems")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _demo(verbs: argparse._SubParsersAction) -> None:
    parser = _verb(verbs, "demo", "train with and without learned synthesis on real data, in minutes on two CPU cores")
    parser.add_argument("--output", default="demo", metavar="DIR", help="folder to write to (default: demo)")
    _add_device(parser)


def _add_preset(parser: argparse.ArgumentParser) -> None:
    presets = ", ".join(names("Presets", ".json"))
    parser.add_argument("--preset", default=None, metavar="NAME|FILE", help=f"{presets}, a JSON file, or a model of policy_search (default: quick-2d)")
    parser.add_argument("--set", nargs="+", action="extend", default=[], dest="assignments", metavar="KEY=VALUE", help="single settings, over the preset")


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default=None, metavar="NAME", help="auto, cpu, cuda, cuda:N or mps (default: auto)")


def _add_owner(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--owner", metavar="FILE", help="stop when the process whose number stands in FILE is gone; without FILE, or once it is removed, carry on"
    )


if __name__ == "__main__":
    sys.exit(main())
