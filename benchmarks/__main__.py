"""`make bench`: speed and memory as ratios within one run, written to `docs/benchmarks.md` by the program itself.

Each benchmark is one module with `run() -> str`, a section in Markdown; each is run in a process of its own, so that
one's memory is not another's. `--quick` shows in seconds a section that each of them runs, and writes nothing.
"""

import argparse
import datetime
import os
import subprocess
import sys
from pathlib import Path

from evoslm.training.run.environment import describe_commit, describe_device, describe_versions

from .flags import BLIMP, DEVICE, LAYERS, LJSPEECH, PIPER, QUICK, RUN, SHAPE, SOAK_SECONDS, WHISPER, WHISPER_SHAPES

BENCHMARKS = ("synthesis", "extraction", "unit_report", "training", "scoring")
BY_NAME_ONLY = (
    "aligner",
    "continuations",
    "diagnosis",
    "first_sound",
    "generation",
    "layers",
    "segmentation",
    "soak",
    "transcription",
    "units",
    "windows",
)
"""Their tables are in the pages of `docs` that they are about, such as `analysis.md` and `recordings.md`."""
NEED_A_RUN = {
    "first_sound": "page it serves",
    "soak": "page it serves",
    "layers": "models score its pairs",
    "continuations": "models go on from its prompts",
}
TARGET = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"


def make_parser() -> argparse.ArgumentParser:
    """The flags of `python -m benchmarks`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        default=BENCHMARKS,
        help=f"Some of {', '.join(BENCHMARKS)}, all by default; or {', '.join(BY_NAME_ONLY)}.",
    )
    parser.add_argument("--quick", action="store_true", help="Sizes that only show that each runs; writes nothing.")
    parser.add_argument("--blimp", type=Path, help="A folder with BLiMP's .jsonl files, whose pairs scoring reads.")
    parser.add_argument(
        "--ljspeech",
        type=Path,
        help="A folder of LJSpeech, whose recordings aligner, segmentation, transcription, units and windows read, "
        "and extraction with --whisper, --shape or --device.",
    )
    parser.add_argument(
        "--piper",
        help="A Piper voice, as of --synthesizer piper:VOICE, that aligner, transcription and units hear, too.",
    )
    parser.add_argument(
        "--whisper",
        help="A Whisper, a folder or an id on the Hub: transcription listens with it, units measures its units, too, "
        "windows and extraction have its weights in the place of random ones.",
    )
    parser.add_argument(
        "--layers",
        type=int,
        nargs="+",
        metavar="N",
        help="Layers of --whisper, from 1, whose units `units` measures; three quarters of the way up by default.",
    )
    parser.add_argument(
        "--shape", choices=WHISPER_SHAPES, help="Of the Whisper with random weights that extraction runs, alone then."
    )
    parser.add_argument(
        "--run",
        type=Path,
        help="A finished run: first-sound and soak serve its page, generation asks its Phone-Repeat, continuations "
        "all of its models, layers scores by them.",
    )
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        help="Where generation and continuations have models run; auto, the default, takes a GPU where there is one. "
        "And where extraction, where it is given, runs Whisper's encoder alone.",
    )
    parser.add_argument("--seconds", type=float, help="How long soak asks; ten minutes by default.")
    return parser


def main() -> None:
    parser = make_parser()
    arguments = parser.parse_args()
    names, environment = [name.replace("-", "_") for name in arguments.names], dict(os.environ)
    if arguments.quick:
        environment[QUICK] = "1"
    if arguments.blimp is not None:
        if not any(arguments.blimp.glob("*.jsonl")):
            parser.error(f"{arguments.blimp} holds no .jsonl files; give the folder that BLiMP's lie in")
        environment[BLIMP] = str(arguments.blimp.resolve())
    if arguments.ljspeech is not None:
        if not (arguments.ljspeech / "metadata.csv").is_file():
            parser.error(f"{arguments.ljspeech} holds no metadata.csv; give the folder of LJSpeech")
        environment[LJSPEECH] = str(arguments.ljspeech.resolve())
    if arguments.piper is not None:
        from evoslm.datasets_scripts.synthesis.by_name import load_synthesizer  # these import torch, too

        from .common import piper_synthesizer

        try:
            load_synthesizer(piper_synthesizer(arguments.piper))
        except (FileNotFoundError, ValueError) as error:
            parser.error(str(error))
        environment[PIPER] = arguments.piper
    if arguments.whisper is not None:
        from evoslm.models.speech_units.pretrained_encoder import describe_encoder  # imports torch

        try:
            for layer in arguments.layers or [None]:
                describe_encoder(arguments.whisper, layer)
        except ValueError as error:
            parser.error(str(error))
        environment[WHISPER] = arguments.whisper
    if arguments.layers is not None:
        if arguments.whisper is None:
            parser.error("--layers are those of a Whisper; give --whisper with a folder or an id on the Hub")
        environment[LAYERS] = " ".join(map(str, arguments.layers))
    if arguments.shape is not None:
        if arguments.whisper is not None:
            parser.error("--whisper has a shape of its own; leave out --shape")
        environment[SHAPE] = arguments.shape
    if arguments.run is not None:
        if not (arguments.run / "models").is_dir():
            parser.error(f"{arguments.run} holds no models; give the folder of a finished run")
        environment[RUN] = str(arguments.run.resolve())
    if arguments.device is not None:
        from evoslm.training.run.workers import resolve_device

        try:
            environment[DEVICE] = resolve_device(arguments.device)
        except ValueError as error:
            parser.error(str(error))
    if arguments.seconds is not None:
        environment[SOAK_SECONDS] = str(arguments.seconds)
    if unknown := set(names) - {*BENCHMARKS, *BY_NAME_ONLY}:
        choices = ", ".join(BENCHMARKS + BY_NAME_ONLY)
        parser.error(f"unknown benchmark {sorted(unknown)[0]!r}; choose from {choices}")
    if "transcription" in names and WHISPER not in environment:
        parser.error("transcription needs a model to listen with; give --whisper with a folder or an id on the Hub")
    for name, what in NEED_A_RUN.items():
        if name in names and RUN not in environment:
            parser.error(f"{name} needs a run whose {what}; give --run with the folder of a finished one")
    sections = []
    for name in names:
        print(f"benchmark: {name}", flush=True)
        code = f"from benchmarks import {name}; print({name}.run())"
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
        if result.returncode:
            sys.exit(result.stderr)
        sections.append(result.stdout[result.stdout.index("## ") :].strip())  # libraries print, too
    if arguments.quick:
        return print("\n\n".join(["Sizes that only show that each section runs.", *sections]))
    versions = describe_versions()
    head = (
        "# Benchmarks\n\nWritten by `make bench`; ratios are within one run, on one machine. `python -m benchmarks "
        "scoring --blimp FOLDER` prints a section by itself, here on BLiMP's pairs; `--quick` shows that all run. "
        f"{describe_device('cpu')}; torch {versions['torch']}, transformers {versions['transformers']}; commit "
        f"{describe_commit() or 'unknown'}; {datetime.date.today().isoformat()}."
    )
    if set(names) == set(BENCHMARKS):
        TARGET.write_text("\n\n".join([head, *sections]) + "\n", encoding="utf-8")
        print(f"written: {TARGET}")
    else:
        print("\n\n".join(sections))


if __name__ == "__main__":
    main()
