"""Arguments of a study and of scoring: dataclasses, a group each.

`argument_parsing` -> [`Arguments`] (one group a dataclass) -> the stages, each of which fingerprints the groups that
make its result and no others.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...models.modalities import MODALITIES, RECORDINGS_MODALITY, SYNTHETIC_MODALITY, get_modality

RECORDED = "recorded"
"""What `own_voices` says of recordings."""
FRAME_FEATURES = ("mfcc", "log_mel")
"""Encoders that need no weights."""


@dataclass
class RunArguments:
    """
    Where a run lies and how it is executed. None of these changes a result, so none is part of a fingerprint.

    Args:
        preset (`str`, *optional*, defaults to `"laptop"`): Name of a YAML file in `training/presets`, or a path.
        output_dir (`str`, *optional*): The run's folder; `runs/<preset>` when not given.
        modalities (`list[str]`, *optional*): Names of modalities, `paper` for the paper's six, or `all`.
        training_seeds (`list[int]`, *optional*, defaults to `[0]`): Training seeds; one model for each.
        num_proc (`int`, *optional*): Worker processes; the number of cores when not given.
        device (`str`, *optional*, defaults to `"auto"`): `auto`, `cpu` or `cuda`.
        overwrite (`bool`, *optional*, defaults to `False`): Redo finished stages whose configuration differs.
    """

    preset: str = field(default="laptop", metadata={"help": "Preset underneath the flags: a name or a YAML file."})
    output_dir: str | None = field(default=None, metadata={"help": "Folder of the run; runs/<preset> by default."})
    modalities: list[str] = field(
        default_factory=lambda: ["paper"], metadata={"help": "Modalities by name, or 'paper', or 'all'."}
    )
    training_seeds: list[int] = field(
        default_factory=lambda: [0], metadata={"help": "Training seeds, one model for each."}
    )
    num_proc: int | None = field(default=None, metadata={"help": "Worker processes; the number of cores by default."})
    device: str = field(default="auto", metadata={"help": "auto, cpu or cuda."})
    overwrite: bool = field(default=False, metadata={"help": "Redo finished stages whose configuration differs."})


@dataclass
class CorpusArguments:
    """
    What is said and how it is spoken.

    Args:
        corpus (`str`, *optional*, defaults to `"stories"`): `stories` (generated), `text` (a folder of .txt files),
            `hub` (a Hugging Face dataset: a column of text, or with `audio_column` recordings and their transcripts),
            `audio` (a folder of recordings with transcripts) or `libriheavy` (its manifests).
        text_dir (`str`, *optional*): Folder of .txt files for `--corpus text`.
        audio_dir (`str`, *optional*): Folder of recordings for `--corpus audio` and `--corpus libriheavy`.
        manifest (`str`, *optional*): LibriHeavy's `*_cuts_*.jsonl.gz`, or a folder of them.
        aligner (`str`, *optional*, defaults to `"pocketsphinx"`): What finds words and phones in recordings:
            `pocketsphinx`, `ctc:MODEL` (a folder or Hub id) or `textgrid:FOLDER`.
        dataset (`str`, *optional*): Dataset id or folder for `--corpus hub`.
        dataset_config (`str`, *optional*): Its configuration.
        dataset_split (`str`, *optional*, defaults to `"train"`): Its split, for recordings.
        dataset_column (`str`, *optional*, defaults to `"text"`): Its column of text.
        audio_column (`str`, *optional*): Its column of recordings.
        speaker_column (`str`, *optional*): Its column of speakers.
        document_column (`str`, *optional*): Its column of documents (books, talks, ...), which lie in one split each.
        max_words (`int`, *optional*, defaults to 60000): Words of all splits together.
        voices (`str`, *optional*, defaults to `"many"`): `one` or `many`; timbre and pitch only (factor C). Of
            synthesized speech; recordings have their own.
        rate (`str`, *optional*, defaults to `"fixed"`): `fixed` or `random` speaking rate (part of factor B).
        max_skipped_fraction (`float`, *optional*, defaults to 0.05): Share of bad inputs above which a stage stops.
        corpus_seed (`int`, *optional*, defaults to 0): Seed of the corpus, its voices, the items and the quantizer.
    """

    corpus: str = field(default="stories", metadata={"help": "stories, text, hub, audio or libriheavy."})
    text_dir: str | None = field(default=None, metadata={"help": "Folder of .txt files, for --corpus text."})
    audio_dir: str | None = field(default=None, metadata={"help": "Folder of recordings with transcripts."})
    manifest: str | None = field(default=None, metadata={"help": "LibriHeavy's manifests: a file or a folder."})
    aligner: str = field(default="pocketsphinx", metadata={"help": "pocketsphinx, ctc:MODEL or textgrid:FOLDER."})
    dataset: str | None = field(default=None, metadata={"help": "Hub dataset id or folder, for --corpus hub."})
    dataset_config: str | None = field(default=None, metadata={"help": "Configuration of --dataset."})
    dataset_split: str = field(default="train", metadata={"help": "Split of --dataset, for recordings."})
    dataset_column: str = field(default="text", metadata={"help": "Column of --dataset that holds the text."})
    audio_column: str | None = field(default=None, metadata={"help": "Column of --dataset that holds recordings."})
    speaker_column: str | None = field(default=None, metadata={"help": "Column of --dataset that holds speakers."})
    document_column: str | None = field(default=None, metadata={"help": "Column of --dataset that holds documents."})
    max_words: int = field(default=60_000, metadata={"help": "Words of all splits together."})
    voices: str = field(default="many", metadata={"help": "one or many: timbre and pitch only (factor C)."})
    rate: str = field(default="fixed", metadata={"help": "fixed or random speaking rate (part of factor B)."})
    max_skipped_fraction: float = field(default=0.05, metadata={"help": "Share of bad inputs that stops a stage."})
    corpus_seed: int = field(default=0, metadata={"help": "Seed of corpus, voices, items and quantizer."})

    @property
    def is_recorded(self) -> bool:
        """Whether the speech is recorded, not synthesized."""
        return self.corpus in ("audio", "libriheavy") or (self.corpus == "hub" and self.audio_column is not None)

    @property
    def own_voices(self) -> str:
        """The voices of the run's own speech: `"one"`, `"many"`, or `"recorded"`."""
        return RECORDED if self.is_recorded else self.voices


@dataclass
class PairArguments:
    """
    The minimal pairs that every model is asked about.

    Args:
        pairs_per_task (`int`, *optional*, defaults to 480): Pairs of Topic-SC and BLiMP; sWUGGY has as many in
            its two headline bands together, and a quarter of that in the higher bands. The stories' sBLIMP has as
            many mirrored twins, which is twice as many pairs.
        voices_per_pair (`int`, *optional*, defaults to 1): Renderings of a pair, each by another voice.
        blimp (`str`, *optional*): Folder of BLiMP's jsonl files, or a Hub id; needed for text corpora.
        blimp_min_count (`int`, *optional*, defaults to 1): How often every word of a BLiMP pair must occur in the
            training split.
    """

    pairs_per_task: int = field(default=480, metadata={"help": "Minimal pairs a task."})
    voices_per_pair: int = field(default=1, metadata={"help": "Renderings of a pair, each by another voice."})
    blimp: str | None = field(default=None, metadata={"help": "Folder of BLiMP's jsonl files or Hub id (real text)."})
    blimp_min_count: int = field(default=1, metadata={"help": "Occurrences that a BLiMP word needs in training."})


@dataclass
class UnitArguments:
    """
    How speech becomes units.

    Args:
        encoder (`str`, *optional*, defaults to `"mfcc"`): The frame features: `mfcc`, `log_mel`, or a self-supervised
            encoder (HuBERT, wav2vec 2.0, WavLM, ...) by Hub id or folder.
        encoder_layer (`int`, *optional*): The layer of such an encoder, from 1; its last when not given.
        encoder_revision (`str`, *optional*): Its commit, branch or tag on the Hub.
        encoder_precision (`str`, *optional*, defaults to `"fp32"`): `fp32` or `bf16`, which changes some units.
        num_units (`int`, *optional*, defaults to 500): Clusters (K).
        num_syllable_units (`int`, *optional*, defaults to 1000): Clusters of Speech-Syllable.
        syllable_parts (`int`, *optional*): Parts of a syllable whose mean frames are clustered; 3 when not given, and
            1 of a self-supervised encoder, whose frames know their neighbours.
        unit_normalization (`str`, *optional*, defaults to `"none"`): `none`, `utterance` or `speaker`.
        fit_frames (`int`, *optional*, defaults to 200000): Frames, or syllables, that k-means sees.
        kmeans (`str`, *optional*, defaults to `"minibatch"`): `minibatch`, `torch` (on a GPU) or `faiss`.
        compare_seeds (`int`, *optional*, defaults to 0): Quantizers of further seeds, to be compared.
    """

    encoder: str = field(default="mfcc", metadata={"help": "mfcc, log_mel, or an SSL encoder's Hub id or folder."})
    encoder_layer: int | None = field(default=None, metadata={"help": "Layer of an SSL encoder; its last if unset."})
    encoder_revision: str | None = field(default=None, metadata={"help": "Commit, branch or tag of an SSL encoder."})
    encoder_precision: str = field(default="fp32", metadata={"help": "Of an SSL encoder: fp32 or bf16."})
    num_units: int = field(default=500, metadata={"help": "Clusters of the quantizer (K)."})
    num_syllable_units: int = field(default=1000, metadata={"help": "Clusters of Speech-Syllable."})
    syllable_parts: int | None = field(default=None, metadata={"help": "Parts of a syllable: 3, or 1 of SSL."})
    unit_normalization: str = field(default="none", metadata={"help": "none, utterance or speaker."})
    fit_frames: int = field(default=200_000, metadata={"help": "Frames, or syllables, that k-means sees."})
    kmeans: str = field(default="minibatch", metadata={"help": "minibatch, torch (on a GPU) or faiss."})
    compare_seeds: int = field(default=0, metadata={"help": "Further k-means seeds to compare."})

    @property
    def is_ssl(self) -> bool:
        """Whether the encoder is a self-supervised one."""
        return self.encoder not in FRAME_FEATURES

    def codebook_size(self, unit_of: str) -> int:
        """Clusters of frames or of syllables."""
        return self.num_units if unit_of == "frame" else self.num_syllable_units

    def segment_parts(self, unit_of: str) -> int:
        """Parts of a segment, 0 where units are of frames."""
        if unit_of == "frame":
            return 0
        return self.syllable_parts or (1 if self.is_ssl else 3)


@dataclass
class ModelArguments:
    """
    The language model's shape and the vocabularies (`LlamaConfig`'s names).

    Args:
        bpe_vocab_size (`int`, *optional*, defaults to 2048): Pieces of Text-BPE and Phone-BPE.
        unit_bpe_vocab_size (`int`, *optional*, defaults to 4096): Pieces of Speech-BPE; more than `num_units`.
        hidden_size (`int`, *optional*, defaults to 128): Width.
        intermediate_size (`int`, *optional*, defaults to 352): Width of the feed-forward layers.
        num_hidden_layers (`int`, *optional*, defaults to 3): Layers.
        num_attention_heads (`int`, *optional*, defaults to 4): Heads.
        num_key_value_heads (`int`, *optional*, defaults to 4): Key and value heads.
        max_position_embeddings (`int`, *optional*, defaults to 2048): Longest sequence, in tokens.
        tie_word_embeddings (`bool`, *optional*, defaults to `True`): Whether input and output embeddings are one.
        initializer_range (`float`, *optional*, defaults to 0.02): Standard deviation of fresh weights; a narrow model
            learns faster from wider ones.
    """

    bpe_vocab_size: int = field(default=2048, metadata={"help": "Pieces of Text-BPE and Phone-BPE."})
    unit_bpe_vocab_size: int = field(default=4096, metadata={"help": "Pieces of Speech-BPE; more than num_units."})
    hidden_size: int = field(default=128, metadata={"help": "Width of the model."})
    intermediate_size: int = field(default=352, metadata={"help": "Width of its feed-forward layers."})
    num_hidden_layers: int = field(default=3, metadata={"help": "Layers."})
    num_attention_heads: int = field(default=4, metadata={"help": "Attention heads."})
    num_key_value_heads: int = field(default=4, metadata={"help": "Key and value heads."})
    max_position_embeddings: int = field(default=2048, metadata={"help": "Longest sequence, in tokens."})
    tie_word_embeddings: bool = field(default=True, metadata={"help": "Input and output embeddings are one."})
    initializer_range: float = field(default=0.02, metadata={"help": "Standard deviation of fresh weights."})


@dataclass
class PretrainArguments:
    """
    The training protocol, the same for every modality.

    Args:
        epochs (`float`, *optional*, defaults to 4): Passes over the training split (at most, with
            `train_until="converged"`).
        train_until (`str`, *optional*, defaults to `"epochs"`): `epochs`, or `converged`: until the validation loss
            has not improved for `patience` evaluations (the paper's protocol).
        patience (`int`, *optional*, defaults to 3): Evaluations without improvement before `converged` stops.
        utterances_per_batch (`int`, *optional*, defaults to 4): Utterances an update: the global batch.
        learning_rate (`float`, *optional*, defaults to 2e-3): Peak learning rate.
        lr_scheduler (`str`, *optional*, defaults to `"wsd"`): `wsd` (warm-up, stable, decay) or `cosine`.
        warmup_fraction (`float`, *optional*, defaults to 0.05): Share of the updates that warm up.
        decay_fraction (`float`, *optional*, defaults to 0.2): Share of the updates that decay (`wsd`).
        weight_decay (`float`, *optional*, defaults to 0.1): AdamW's.
        adam_beta2 (`float`, *optional*, defaults to 0.95): AdamW's.
        max_grad_norm (`float`, *optional*, defaults to 1.0): Gradient clipping.
        points (`list[float]`, *optional*): Epochs after which a point of the scaling figure is kept; those past the
            stable phase are left out.
        point_pairs (`int`, *optional*, defaults to 160): Pairs a task that a point is scored on.
    """

    epochs: float = field(default=4.0, metadata={"help": "Passes over the training split."})
    train_until: str = field(default="epochs", metadata={"help": "epochs or converged."})
    patience: int = field(default=3, metadata={"help": "Evaluations without improvement before stopping."})
    utterances_per_batch: int = field(default=4, metadata={"help": "Utterances an update."})
    learning_rate: float = field(default=2e-3, metadata={"help": "Peak learning rate."})
    lr_scheduler: str = field(default="wsd", metadata={"help": "wsd or cosine."})
    warmup_fraction: float = field(default=0.05, metadata={"help": "Share of the updates that warm up."})
    decay_fraction: float = field(default=0.2, metadata={"help": "Share of the updates that decay (wsd)."})
    weight_decay: float = field(default=0.1, metadata={"help": "Weight decay of AdamW."})
    adam_beta2: float = field(default=0.95, metadata={"help": "Second beta of AdamW."})
    max_grad_norm: float = field(default=1.0, metadata={"help": "Gradient clipping."})
    points: list[float] = field(
        default_factory=lambda: [0.25, 0.5, 1.0, 2.0, 3.0], metadata={"help": "Epochs of the scaling figure's points."}
    )
    point_pairs: int = field(default=160, metadata={"help": "Pairs a task that a point is scored on."})


@dataclass
class HardwareArguments:
    """
    How trainings use the devices. None of these changes a batch or a schedule, so none is part of a fingerprint;
    weights differ by rounding only (and by precision).

    Args:
        precision (`str`, *optional*, defaults to `"auto"`): `bf16`, `fp32`, or bf16 where the device computes it.
        deepspeed (`str`, *optional*): `zero1`, `zero2`, `zero3` or a JSON file, for processes that a launcher starts.
        utterances_per_pass (`int`, *optional*): Utterances on a device at once; a process adds up the gradients of as
            many passes as its share of the batch needs. The whole share when not given.
        gradient_checkpointing (`bool`, *optional*, defaults to `False`): Compute layers twice to save memory.
        attention (`str`, *optional*, defaults to `"auto"`): `packed` (ours), `flash_attention_2`, `sdpa`, `eager` or
            `flex_attention`; with `auto` FlashAttention where it is installed and there is a GPU, else ours.
        torch_compile (`bool`, *optional*, defaults to `False`): Compile the model; has no effect without a GPU.
        liger (`bool`, *optional*, defaults to `False`): Use Liger's kernels; has no effect without them and a GPU.
        loader_workers (`int`, *optional*, defaults to 0): Processes that lay out batches ahead of the training.
        save_every (`int`, *optional*): Updates between checkpoints and validations; an epoch's when not given.
        report_to (`str`, *optional*, defaults to `"none"`): `tensorboard`, `trackio` or `none`.
        dry_run (`bool`, *optional*, defaults to `False`): Print what `evoslm pretrain` would need, and stop.
        num_devices (`int`, *optional*, defaults to 1): Devices that `dry_run` reckons with.
        device_memory_gb (`float`, *optional*, defaults to 80): Memory of each of them.
        device_tflops (`float`, *optional*): Matrix rate of each of them; measured here when not given.
    """

    precision: str = field(default="auto", metadata={"help": "auto, bf16 or fp32."})
    deepspeed: str | None = field(default=None, metadata={"help": "zero1, zero2, zero3 or a JSON file."})
    utterances_per_pass: int | None = field(default=None, metadata={"help": "Utterances on a device at once."})
    gradient_checkpointing: bool = field(default=False, metadata={"help": "Compute layers twice to save memory."})
    attention: str = field(
        default="auto", metadata={"help": "auto, packed, flash_attention_2, sdpa, eager or flex_attention."}
    )
    torch_compile: bool = field(default=False, metadata={"help": "Compile the model (on a GPU)."})
    liger: bool = field(default=False, metadata={"help": "Use Liger's kernels where installed (on a GPU)."})
    loader_workers: int = field(default=0, metadata={"help": "Processes that lay out batches ahead."})
    save_every: int | None = field(
        default=None, metadata={"help": "Updates between checkpoints; an epoch's if not given."}
    )
    report_to: str = field(default="none", metadata={"help": "tensorboard, trackio or none."})
    dry_run: bool = field(default=False, metadata={"help": "Print what pretrain would need, and stop."})
    num_devices: int = field(default=1, metadata={"help": "Devices that --dry_run reckons with."})
    device_memory_gb: float = field(default=80.0, metadata={"help": "Memory of each of them."})
    device_tflops: float | None = field(default=None, metadata={"help": "Matrix rate of each; measured if unset."})


GROUPS = {
    "run": RunArguments,
    "corpus": CorpusArguments,
    "pairs": PairArguments,
    "units": UnitArguments,
    "model": ModelArguments,
    "pretrain": PretrainArguments,
    "hardware": HardwareArguments,
}


@dataclass
class Arguments:
    """All groups of arguments of a command; each is described in its own class."""

    run: RunArguments
    corpus: CorpusArguments
    pairs: PairArguments
    units: UnitArguments
    model: ModelArguments
    pretrain: PretrainArguments
    hardware: HardwareArguments

    @property
    def modalities(self) -> list[str]:
        """Names of the run's modalities in the order of the table of modalities."""
        asked = set()
        for name in self.run.modalities:
            if name == "paper":
                asked.update(modality.name for modality in MODALITIES.values() if modality.paper)
            elif name == "all":
                asked.update(MODALITIES)
            else:
                asked.add(get_modality(name).name)
        # What recordings are compared with; other runs are synthetic already.
        if not self.corpus.is_recorded:
            if SYNTHETIC_MODALITY in asked:
                asked.add(RECORDINGS_MODALITY)
            asked.discard(SYNTHETIC_MODALITY)
        # The run's own rendering is in one voice already; recordings cannot be had in one with the same times.
        if self.corpus.own_voices != "many":
            if "speech_units_one_voice" in asked:
                asked.add("speech_units")
            asked.discard("speech_units_one_voice")
        return [name for name in MODALITIES if name in asked]

    @property
    def output_dir(self) -> Path:
        """The run's folder."""
        return Path(self.run.output_dir or Path("runs") / Path(self.run.preset).stem)

    @property
    def shape(self) -> dict[str, Any]:
        """The language model's shape: arguments of `LlamaConfig`."""
        return {name: value for name, value in asdict(self.model).items() if "vocab_size" not in name}

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Every argument by group, as saved with a run."""
        return {name: asdict(getattr(self, name)) for name in GROUPS}
