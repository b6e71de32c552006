"""The blocks of context retrieval: held-out passages -> blocks -> speech -> units -> what joint models are asked.

passages -> [`build_blocks`] -> `blocks/test-*.parquet` and `summary.json` -> [`build_block_units`] -> the units of
each part; `read_block_contents` reads both.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from ...models.files import write_json
from ..run.execution import Execution
from ..run.folder import HELD_OUT_FILE, SUMMARY_FILE
from ..run.stage import Stage
from .speech import synthesis_configuration
from .units.encoding import build_pair_units

BLOCKS_FOLDER = "blocks"
"""The shards of blocks, and of their units, in the folder of either stage."""
BLOCK_COLUMNS = ("context_audio", "continuation_audio")


@dataclass(frozen=True)
class BlockSettings:
    """
    Which blocks are made and how they are spoken.

    Args:
        num_blocks (`int`): How many blocks.
        block_size (`int`): Passages a block: chance is one in so many.
        voices (`str`): `"one"` or `"many"`.
        rate (`str`): `"fixed"` or `"random"`.
        corpus_seed (`int`): Seed of the blocks and of voices, pitches and rates.
        max_skipped_fraction (`float`): Share of blocks that cannot be spoken above which the stage stops.
        any_voice (`bool`, *optional*, defaults to `False`): Whether each passage of a block is spoken by itself.
        synthesizer (`str`, *optional*, defaults to `"espeak"`): What speaks: `"espeak"` or `"piper:VOICE"`.
    """

    num_blocks: int
    block_size: int
    voices: str
    rate: str
    corpus_seed: int
    max_skipped_fraction: float
    any_voice: bool = False
    synthesizer: str = "espeak"


def build_blocks(folder: Path, passages: Path, settings: BlockSettings, execution: Execution) -> None:
    """
    Make blocks of the passages that no split of the corpus holds, and speak them.

    Args:
        folder (`Path`): Where to.
        passages (`Path`): The text stage.
        settings ([`BlockSettings`]): Which blocks, and how they are spoken.
        execution ([`Execution`]): How it is done.

    Raises:
        `ValueError`: If not a single block can be made, or too many cannot be spoken.
    """
    from ...datasets_scripts.retrieval.blocks import make_blocks
    from ...datasets_scripts.retrieval.rendering import render_blocks
    from ...datasets_scripts.synthesis.by_name import synthesis_packages
    from ...datasets_scripts.text.passages import read_passages

    def build(partial: Path) -> None:
        held_out = read_passages(passages / HELD_OUT_FILE)
        blocks, report = make_blocks(held_out, settings.num_blocks, settings.corpus_seed, settings.block_size)
        spoken = render_blocks(
            blocks,
            partial / BLOCKS_FOLDER,
            settings.voices,
            settings.rate,
            settings.corpus_seed,
            any_voice=settings.any_voice,
            synthesizer=settings.synthesizer,
            num_proc=execution.num_proc,
            max_skipped_fraction=settings.max_skipped_fraction,
        )
        write_json(partial / SUMMARY_FILE, report | {"rendering": spoken})

    packages = ("wordfreq", *synthesis_packages(settings.synthesizer))
    stage = Stage(folder, 1, synthesis_configuration(asdict(settings)), {"passages": passages}, packages)
    stage.run(build, execution.overwrite)


def build_block_units(folder: Path, quantizer: Path, blocks: Path, precision: str, execution: Execution) -> None:
    """
    Encode spoken blocks, context and continuation each by itself.

    Args:
        folder (`Path`): Where to.
        quantizer (`Path`): The stage of the quantizer.
        blocks (`Path`): The stage of [`build_blocks`].
        precision (`str`): Of an encoder with weights, `"fp32"` or `"bf16"`, which changes some units.
        execution ([`Execution`]): How it is done.
    """
    build_pair_units(folder, quantizer, blocks, precision, execution, BLOCK_COLUMNS)
