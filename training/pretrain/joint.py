"""Pre-training of a joint model of speech units and text (2310.08715), by the engine of all other models.

utterances with their units + a mixture + shape + protocol + seed -> a plain model folder with the joint tokenizer.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from ...datasets_scripts.mixing.mixture import Mixture
from ...datasets_scripts.mixing.sequences import JointUtterance
from ...models.language_model import make_language_model, make_language_model_config
from ...models.modalities import JOINT
from ...models.new_rows import load_with_new_rows, read_shape
from ..arguments.study import HardwareArguments, PretrainArguments
from .joint_data import DrawnSequences, JointBatchSampler, JointSequences
from .pretraining import train_language_model

# Beside the longest sequence of the first epoch, which other epochs may exceed by a few switches.
_SPARE_TOKENS = 64


def pretrain_joint(
    utterances: Mapping[str, Sequence[tuple[str, JointUtterance]]],
    tokenizer: PreTrainedTokenizerBase,
    output_dir: Path,
    shape: dict,
    mixture: Mixture,
    arguments: PretrainArguments,
    seed: int,
    loss_on: str = "all",
    device: str = "cpu",
    report_progress: Callable[[float], None] | None = None,
    hardware: HardwareArguments | None = None,
    initial: Path | None = None,
    new_rows: str = "mean",
    **extra_config,
) -> dict:
    """
    Train one joint model and leave its folder ready for `AutoModelForCausalLM.from_pretrained`.

    The order of utterances is that of a model of one modality with the same seed; what an utterance is, speech, text,
    CST or AST, is drawn anew in each epoch. Validation is on the draws of epoch 0.

    Args:
        utterances (`Mapping[str, Sequence[tuple[str, JointUtterance]]]`): Ids and utterances of `train` and
            `validation`.
        tokenizer (`PreTrainedTokenizerBase`): Of [`~evoslm.models.tokenizers.joint.train_joint`].
        output_dir (`Path`): Gets the model, its tokenizer, `training.json` and `points/updates-*`.
        shape (`dict`): `LlamaConfig` arguments.
        mixture ([`Mixture`]): How much of each kind.
        arguments ([`PretrainArguments`]): The protocol.
        seed (`int`): Seed of the weights and of the order.
        loss_on (`str`, *optional*, defaults to `"all"`): Which tokens are learned; one of `LOSS_ON`.
        device (`str`, *optional*, defaults to `"cpu"`): `"cpu"` or `"cuda"`.
        report_progress (`Callable[[float], None]`, *optional*): Called with the share of updates that are done.
        hardware ([`HardwareArguments`], *optional*): How the devices are used; none of it changes the batches.
        initial (`Path`, *optional*): The folder of a model of text to go on from (2305.13009), which gives its shape
            to the joint model; from scratch when not given. The tokenizer has to be one of
            [`~evoslm.models.tokenizers.joint.join_units`] on that model's own.
        new_rows (`str`, *optional*, defaults to `"mean"`): How the rows of tokens begin that it did not have; one of
            `NEW_ROWS`.
        **extra_config: Further keys for the model's configuration.

    Returns:
        `dict`: What [`~evoslm.training.pretrain.pretraining.pretrain`] returns.

    Raises:
        `ValueError`: If the protocol contradicts itself, a split is empty, `loss_on` is unknown, or the model of text
            is none to go on from.
        `OSError`, [`~distributed.TrainingStopped`]: As [`~evoslm.training.pretrain.pretraining.pretrain`].
    """
    for split in ("train", "validation"):
        if not utterances.get(split):
            raise ValueError(f"The {split} split of the joint model is empty; the corpus is too small (--max_words).")
    train = JointSequences(utterances["train"], mixture, tokenizer, loss_on)
    validation = DrawnSequences(utterances["validation"], mixture, tokenizer, 0, loss_on)
    longest = max(train.lengths.max(), int(validation.lengths.max())) + _SPARE_TOKENS
    mixed = {"mixture": dict(mixture.ratios), "loss_on": loss_on}
    if initial is not None:
        shape = read_shape(initial)
    config = make_language_model_config(JOINT, tokenizer, shape, longest, **mixed, **extra_config)

    def make_model(config: LlamaConfig, seed: int) -> LlamaForCausalLM:
        if initial is None:
            return make_language_model(config, seed)
        return load_with_new_rows(initial, tokenizer, config, new_rows, seed)

    return train_language_model(
        config,
        tokenizer,
        train,
        validation,
        JointBatchSampler,
        output_dir,
        arguments,
        seed,
        device,
        report_progress,
        hardware,
        make_model,
    )
