"""What `python -m benchmarks` was given, in the environment of the process that runs a section."""

import os

BLIMP = "EVOSLM_BLIMP"
"""Set to the folder of `python -m benchmarks --blimp FOLDER`."""
LJSPEECH = "EVOSLM_LJSPEECH"
"""Set to the folder of `python -m benchmarks --ljspeech FOLDER`."""
PIPER = "EVOSLM_PIPER"
"""Set to the voice of `python -m benchmarks --piper VOICE`."""
WHISPER = "EVOSLM_WHISPER"
"""Set to the model of `python -m benchmarks --whisper MODEL`."""
LAYERS = "EVOSLM_LAYERS"
"""Set to the numbers of `python -m benchmarks --layers N [N ...]`, with spaces between them."""
DEVICE = "EVOSLM_DEVICE"
"""Set to the device of `python -m benchmarks --device DEVICE`."""
SHAPE = "EVOSLM_SHAPE"
"""Set to the name of `python -m benchmarks --shape NAME`."""
WHISPER_SHAPES = ("tiny", "large-v3")
"""Names that `--shape` takes."""
RUN = "EVOSLM_RUN"
"""Set to the run of `python -m benchmarks --run RUN`."""
SOAK_SECONDS = "EVOSLM_SOAK_SECONDS"
"""Set to the time of `python -m benchmarks --seconds N`."""
QUICK = "EVOSLM_BENCHMARKS_QUICK"
"""Set for the processes of `python -m benchmarks --quick`."""


def full_or_quick(full, quick):
    """A size to measure with, or one with which a section takes seconds and shows only that it runs."""
    return quick if os.environ.get(QUICK) else full
