"""What a fine-tuned folder says of itself beside its weights: the task, how examples are read, and its base.

[`SluConfig`] <-> `slu_config.json`.
"""

from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ..files import read_json_if_whole, write_json
from .answers import AnswerFormat

SLU_CONFIG_FILE = "slu_config.json"
CLASSIFICATION, ENTITIES = KINDS = ("classification", "entities")
"""What is asked of an utterance: its class, or the entities that it names."""


@dataclass(frozen=True)
class BaseModel:
    """
    The model that an adapter belongs to.

    Args:
        model (`str`): Its folder, or its id on the Hub.
        weights (`str`): Fingerprint of its weights.
        vocabulary (`str`): Fingerprint of its vocabulary.
        revision (`str`, *optional*): The commit, branch or tag on the Hub.
    """

    model: str
    weights: str
    vocabulary: str
    revision: str | None = None


@dataclass(frozen=True)
class SluConfig:
    """
    What a fine-tuned model does.

    Args:
        task (`str`): The task's name.
        kind (`str`): `"classification"` or `"entities"`.
        labels (`tuple[str, ...]`): Classes in the order of the logits, or labels of entities.
        base ([`BaseModel`]): What was fine-tuned.
        modality (`str`, *optional*): What the model reads; `None` of a model that is not ours.
        trained_on (`str`): `"text"` or `"speech"`.
        collapse (`bool`): Of a joint model, whether a run of equal units is written once.
        characters (`tuple[str, ...]`): Of entities, characters that are one token each.
        max_new_tokens (`int`): Of entities, the longest answer.
        quantizer (`str`, *optional*): The folder of the quantizer, where speech was read.
        unit_quantizer_hash (`str`, *optional*): Which quantizer its units are of ([`quantizer_hash`]), where that is
            known.
        reads_end (`bool`): Of classes, whether the token that ends a sequence is read behind an utterance, so that
            they are told at the same token whatever was said last. Folders of earlier versions were not trained so.
        cut_edges (`bool`): Whether silence at the ends of a recording is cut to what the training's speech has there,
            as far as that was the project's synthesis.
    """

    task: str
    kind: str
    labels: tuple[str, ...]
    base: BaseModel
    modality: str | None = None
    trained_on: str = "text"
    collapse: bool = True
    characters: tuple[str, ...] = ()
    max_new_tokens: int = 64
    quantizer: str | None = None
    unit_quantizer_hash: str | None = None
    reads_end: bool = False
    cut_edges: bool = False

    @property
    def answers(self) -> AnswerFormat:
        """How entities are written."""
        return AnswerFormat(self.modality, self.labels, self.characters)

    def save(self, folder: str | Path) -> None:
        """Write `slu_config.json`."""
        write_json(Path(folder) / SLU_CONFIG_FILE, asdict(self))

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "SluConfig":
        """
        Read `slu_config.json`.

        Args:
            folder (`str` or `Path`): A fine-tuned folder.

        Raises:
            `FileNotFoundError`: If it is none.
        """
        values = read_json_if_whole(Path(folder) / SLU_CONFIG_FILE)
        if values is None:
            raise FileNotFoundError(
                f"{folder} has no {SLU_CONFIG_FILE}: it is not the folder of a model that `evoslm finetune` made."
            )
        own = {item.name: values[item.name] for item in fields(cls) if item.name in values}
        own |= {name: tuple(own[name]) for name in ("labels", "characters")}
        return cls(**own | {"base": BaseModel(**own["base"])})
