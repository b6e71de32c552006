"""Arguments of a study: dataclasses, a group each.

preset and flags (`parsing.py`) -> [`Arguments`] (one group a dataclass) -> the stages. A field is described once, in
its class's docstring, which is the help of its flag, too; `metadata` says what values it may have (`least`, `most`,
`above`) and by which names its flag was known before (`aliases`).
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ...models.modalities import MODALITIES, RECORDINGS_MODALITY, SYLLABLES, SYNTHETIC_MODALITY, get_modality
from ...models.speech_units.segmentation import SyllableSegmentation

RECORDED = "recorded"
"""What `own_voices` says of recordings."""
FRAME_FEATURES = ("mfcc", "log_mel")
"""Encoders that need no weights."""
AnalysisPart = Literal["layers", "segmentation", "scaling", "factors", "published", "continuation", "mitigations"]
"""The parts of `evoslm analyze`, in the order of its page."""


@dataclass
class RunArguments:
    """
    Where a run lies and how it is executed. None of these changes a result, so none is part of a fingerprint.

    Args:
        preset (`str`, *optional*, defaults to `"laptop"`): Values underneath the flags: `smoke`, `laptop`,
            `overnight`, `h200`, `paper`, or a YAML file.
        output_dir (`str`, *optional*): The run's folder; `runs/<preset>` when not given.
        modalities (`list[str]`, *optional*): Names of modalities, `paper` for the paper's six, or `all`.
        training_seeds (`list[int]`, *optional*, defaults to `[0]`): Training seeds; one model for each.
        num_proc (`int`, *optional*): Worker processes; the number of cores when not given.
        device (`str`, *optional*, defaults to `"auto"`): Where encoders and language models run; `auto` takes a GPU
            where there is one.
        overwrite (`bool`, *optional*, defaults to `False`): Redo finished stages whose configuration differs.
        replicates (`int`, *optional*, defaults to 1): Whole studies, each with text, pairs, voices, k-means and
            training seeds of its own, and a report over all, whose intervals are over other corpora of the kind, too.
            They lie in `output_dir` as `replicate-<corpus seed>`.
        analysis (`list[str]`, *optional*): Parts of `evoslm analyze` that follow the report, or `all` that the run has
            what they need for; none when not given.
    """

    preset: str = "laptop"
    output_dir: str | None = None
    modalities: list[str] = field(default_factory=lambda: ["paper"])
    training_seeds: list[int] = field(default_factory=lambda: [0], metadata={"aliases": ["--seeds"], "least": 0})
    num_proc: int | None = field(default=None, metadata={"least": 1})
    device: Literal["auto", "cpu", "cuda"] = "auto"
    overwrite: bool = False
    replicates: int = field(default=1, metadata={"least": 1})
    analysis: list[Literal["all"] | AnalysisPart] | None = field(default=None, metadata={"metavar": "PART"})


@dataclass
class CorpusArguments:
    """
    What is said and how it is spoken.

    Args:
        corpus (`str`, *optional*, defaults to `"stories"`): `stories` (generated), `text` (a folder of .txt files),
            `hub` (a Hugging Face dataset: a column of text, or with `audio_column` recordings and their transcripts),
            `audio` (a folder of recordings with transcripts) or `libriheavy` (its manifests).
        stories (`str`, *optional*, defaults to `"simple"`): The language of generated stories: `simple` can be learned
            almost whole by small models, `rich` cannot.
        lexicon (`str`, *optional*): A YAML file of words and sentences of your own for simple stories.
        text_dir (`str`, *optional*): Folder of .txt files for `--corpus text`.
        audio_dir (`str`, *optional*): Folder of recordings for `--corpus audio` and `--corpus libriheavy`.
        manifest (`str`, *optional*): LibriHeavy's `*_cuts_*.jsonl.gz`, or a folder of them.
        aligner (`str`, *optional*, defaults to `"pocketsphinx"`): What finds words and phones in recordings:
            `pocketsphinx`, `ctc:MODEL` (a folder, or a Hub id or `ID@REVISION`) or `textgrid:FOLDER`.
        dataset (`str`, *optional*): Dataset id or folder for `--corpus hub`.
        dataset_config (`str`, *optional*): Its configuration.
        dataset_split (`str`, *optional*, defaults to `"train"`): Its split.
        dataset_revision (`str`, *optional*): Its commit, branch or tag on the Hub; the main branch when not given.
        dataset_column (`str`, *optional*, defaults to `"text"`): Its column of text.
        audio_column (`str`, *optional*): Its column of recordings.
        speaker_column (`str`, *optional*): Its column of speakers.
        document_column (`str`, *optional*): Its column of documents (books, talks, ...), which lie in one split each.
        topic_column (`str`, *optional*): Its column of topics (the books of chapters), for Topic-SC.
        max_words (`int`, *optional*, defaults to 60000): Words of all splits together.
        synthesizer (`str`, *optional*, defaults to `"espeak"`): What speaks: `espeak`, or `piper:VOICE`, a neural
            voice by its folder or by its folder's path on the Hub.
        voices (`str`, *optional*, defaults to `"many"`): Who speaks: timbre and pitch only (factor C), and durations,
            too, where a neural voice has several speakers. Of synthesized speech; recordings have their own.
        rate (`str`, *optional*, defaults to `"fixed"`): The speaking rate (part of factor B).
        max_skipped_fraction (`float`, *optional*, defaults to 0.05): Share of bad inputs above which a stage stops.
        corpus_seed (`int`, *optional*, defaults to 0): Seed of the corpus, its voices, the items and the quantizer.
    """

    corpus: Literal["stories", "text", "hub", "audio", "libriheavy"] = "stories"
    stories: Literal["simple", "rich"] = "simple"
    lexicon: str | None = None
    text_dir: str | None = None
    audio_dir: str | None = None
    manifest: str | None = None
    aligner: str = "pocketsphinx"
    dataset: str | None = None
    dataset_config: str | None = None
    dataset_split: str = "train"
    dataset_revision: str | None = None
    dataset_column: str = "text"
    audio_column: str | None = None
    speaker_column: str | None = None
    document_column: str | None = None
    topic_column: str | None = None
    max_words: int = field(default=60_000, metadata={"least": 1})
    synthesizer: str = "espeak"
    voices: Literal["one", "many"] = "many"
    rate: Literal["fixed", "random"] = "fixed"
    max_skipped_fraction: float = field(default=0.05, metadata={"least": 0, "most": 1})
    corpus_seed: int = field(default=0, metadata={"aliases": ["--seed"]})

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
        point_pairs (`int`, *optional*, defaults to 160): Pairs a task that a point of the scaling figure is scored on.
    """

    pairs_per_task: int = field(default=480, metadata={"least": 1})
    voices_per_pair: int = field(default=1, metadata={"least": 1})
    blimp: str | None = None
    blimp_min_count: int = 1
    point_pairs: int = field(default=160, metadata={"least": 1})


@dataclass
class UnitArguments:
    """
    How speech becomes units.

    Args:
        units (`str`, *optional*): Units from elsewhere, in place of an encoder and k-means: `module:function` or
            `FILE.py:function` (called with a waveform and its rate, gives ids), `codec`, or a table (.jsonl or
            .parquet) of rows with `file` and `units`, by the names that `evoslm export-audio` writes.
        units_model (`str`, *optional*): What an adapter is made of, a folder or a Hub id: `--units codec --units_model
            facebook/encodec_24khz`.
        units_name (`str`, *optional*): Their name in tables and figures.
        units_frame_rate (`float`, *optional*): Ids a second; of an adapter that says it, not needed.
        units_codebook_size (`int`, *optional*): Different ids; of a table, the largest and one more when not given.
        encoder (`str`, *optional*, defaults to `"mfcc"`): The frame features: `mfcc`, `log_mel`, or an encoder with
            weights (HuBERT, wav2vec 2.0, WavLM, Whisper, ...) by Hub id or folder.
        encoder_layer (`int`, *optional*): The layer of such an encoder, from 1; when not given its last, and of
            Whisper the one three quarters of the way up.
        encoder_revision (`str`, *optional*): Its commit, branch or tag on the Hub.
        encoder_precision (`str`, *optional*, defaults to `"fp32"`): Of its computation; `bf16` changes some units.
        num_units (`int`, *optional*, defaults to 500): Clusters (K).
        num_syllable_units (`int`, *optional*, defaults to 1000): Clusters of Speech-Syllable, aligned or not.
        syllable_parts (`int`, *optional*): Parts of a syllable whose mean frames are clustered; 3 when not given, and
            1 of an encoder with weights, whose frames know their neighbours.
        syllable_smoothing_ms (`float`, *optional*, defaults to 20.0): Standard deviation of the Gaussian that smooths
            the envelope in which unsupervised syllables are found; more finds fewer.
        syllable_prominence_db (`float`, *optional*, defaults to 2.0): How much louder than the valleys around it their
            nucleus is; more finds fewer.
        duration_penalty (`float`, *optional*, defaults to 10.0): What each unit of Speech-Duration-Penalized costs, in
            mean squared distances of a frame to its centroid; more makes them longer.
        unit_normalization (`str`, *optional*, defaults to `"none"`): By whose mean and deviation frames are
            normalised; `none` is by those of the corpus.
        fit_frames (`int`, *optional*, defaults to 200000): Frames, or syllables, that k-means sees.
        kmeans (`str`, *optional*, defaults to `"minibatch"`): What clusters; `torch` does so on a GPU.
        compare_seeds (`int`, *optional*, defaults to 0): Quantizers of further seeds, to be compared.
    """

    units: str | None = None
    units_model: str | None = None
    units_name: str | None = None
    units_frame_rate: float | None = field(default=None, metadata={"least": 5, "most": 200})
    units_codebook_size: int | None = field(default=None, metadata={"least": 2, "most": 65_536})
    encoder: str = "mfcc"
    encoder_layer: int | None = None
    encoder_revision: str | None = None
    encoder_precision: Literal["fp32", "bf16"] = "fp32"
    num_units: int = field(default=500, metadata={"least": 2})
    num_syllable_units: int = field(default=1000, metadata={"least": 2})
    syllable_parts: int | None = field(default=None, metadata={"least": 1})
    syllable_smoothing_ms: float = field(default=20.0, metadata={"least": 0})
    syllable_prominence_db: float = field(default=2.0, metadata={"least": 0})
    duration_penalty: float = field(default=10.0, metadata={"least": 0})
    unit_normalization: Literal["none", "utterance", "speaker"] = "none"
    fit_frames: int = field(default=200_000, metadata={"least": 1})
    kmeans: Literal["minibatch", "torch", "faiss"] = "minibatch"
    compare_seeds: int = field(default=0, metadata={"least": 0})

    @property
    def is_pretrained(self) -> bool:
        """Whether the encoder has weights, which were trained elsewhere."""
        return self.encoder not in FRAME_FEATURES

    def open_external(self):
        """
        The units of `units`, as [`~external_units.quantizers.open_units`] finds and checks them; `None` without.

        Raises:
            `FileNotFoundError`, `ValueError`: As there.
        """
        if self.units is None:
            return None
        from ..external_units.quantizers import open_units

        return open_units(
            self.units, self.units_model, self.units_frame_rate, self.units_codebook_size, self.units_name
        )

    def vocabulary(self, unit_of: str) -> int:
        """Different units: those of `units`, or clusters."""
        return self.codebook_size(unit_of) if self.units is None else self.open_external().config.num_units

    def codebook_size(self, unit_of: str) -> int:
        """Clusters of frames or of syllables."""
        return self.num_syllable_units if unit_of in SYLLABLES else self.num_units

    def segment_parts(self, unit_of: str) -> int:
        """Parts of a segment, 0 where units are of frames."""
        if unit_of not in SYLLABLES:
            return 0
        return self.syllable_parts or (1 if self.is_pretrained else 3)

    def segmentation(self, unit_of: str) -> dict[str, float] | None:
        """How segments are found in the sound, where they are."""
        if unit_of != "syllable_unsupervised":
            return None
        return asdict(SyllableSegmentation(self.syllable_smoothing_ms, self.syllable_prominence_db))

    def penalty(self, unit_of: str) -> float:
        """What a run of equal units costs, 0 where units are the nearest."""
        return self.duration_penalty if unit_of == "duration_penalized" else 0.0


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
        max_position_embeddings (`int`, *optional*, defaults to 2048): Longest sequence, in tokens; a modality whose
            utterances are longer has as many as they need.
        tie_word_embeddings (`bool`, *optional*, defaults to `True`): Whether input and output embeddings are one.
        initializer_range (`float`, *optional*, defaults to 0.02): Standard deviation of fresh weights; a narrow model
            learns faster from wider ones.
    """

    bpe_vocab_size: int = 2048
    unit_bpe_vocab_size: int = 4096
    hidden_size: int = field(default=128, metadata={"least": 1})
    intermediate_size: int = field(default=352, metadata={"least": 1})
    num_hidden_layers: int = field(default=3, metadata={"least": 1})
    num_attention_heads: int = field(default=4, metadata={"least": 1})
    num_key_value_heads: int = field(default=4, metadata={"least": 1})
    max_position_embeddings: int = 2048
    tie_word_embeddings: bool = True
    initializer_range: float = 0.02


@dataclass
class PretrainArguments:
    """
    The training protocol, the same for every modality.

    Args:
        epochs (`float`, *optional*, defaults to 4): Passes over the training split (with `train_until="converged"` the
            most that are made before the decay).
        train_until (`str`, *optional*, defaults to `"epochs"`): When a training ends: after `epochs`, or `converged`,
            when `patience` validations in a row have improved the best loss by less than `min_improvement`, and the
            learning rate has then decayed. `wsd` alone.
        patience (`int`, *optional*, defaults to 3): Validations in a row that end the stable phase of `converged`.
        min_improvement (`float`, *optional*, defaults to 0.002): Share of the best validation loss by which one has to
            be lower to count as an improvement for `converged`.
        validate_every (`int`, *optional*): Updates between validations, the best of which the model is taken from; an
            epoch's when not given.
        utterances_per_batch (`int`, *optional*, defaults to 4): Utterances an update: the global batch.
        learning_rate (`float`, *optional*, defaults to 2e-3): Peak learning rate.
        lr_scheduler (`str`, *optional*, defaults to `"wsd"`): The schedule; `wsd` is warm-up, stable, decay.
        warmup_fraction (`float`, *optional*, defaults to 0.05): Share of the updates of `epochs` that warm up.
        decay_fraction (`float`, *optional*, defaults to 0.2): Share of the updates that decay (`wsd`); with
            `converged`, of those that were made before, which it follows.
        weight_decay (`float`, *optional*, defaults to 0.1): AdamW's.
        adam_beta2 (`float`, *optional*, defaults to 0.95): AdamW's.
        max_grad_norm (`float`, *optional*, defaults to 1.0): Gradient clipping.
        points (`list[float]`, *optional*): Epochs after which a point of the scaling figure is kept; those past the
            stable phase are left out.
    """

    epochs: float = field(default=4.0, metadata={"above": 0})
    train_until: Literal["epochs", "converged"] = "epochs"
    patience: int = field(default=3, metadata={"least": 1})
    min_improvement: float = field(default=0.002, metadata={"least": 0, "most": 1})
    validate_every: int | None = field(default=None, metadata={"least": 1})
    utterances_per_batch: int = field(default=4, metadata={"least": 1})
    learning_rate: float = 2e-3
    lr_scheduler: Literal["wsd", "cosine"] = "wsd"
    warmup_fraction: float = field(default=0.05, metadata={"least": 0, "most": 1})
    decay_fraction: float = field(default=0.2, metadata={"least": 0, "most": 1})
    weight_decay: float = 0.1
    adam_beta2: float = 0.95
    max_grad_norm: float = 1.0
    points: list[float] = field(default_factory=lambda: [0.25, 0.5, 1.0, 2.0, 3.0])


@dataclass
class HardwareArguments:
    """
    How trainings use the devices. None of these changes a batch or a schedule, so that weights differ by rounding
    only; the precision alone is part of a model's fingerprint.

    Args:
        precision (`str`, *optional*, defaults to `"auto"`): Of the computation; `auto` is bf16 where a GPU computes
            it, and fp32 on every CPU, so that processors agree.
        deepspeed (`str`, *optional*): `zero1`, `zero2`, `zero3` or a JSON file, for processes that a launcher starts.
        utterances_per_pass (`int`, *optional*): Utterances on a device at once; a process adds up the gradients of as
            many passes as its share of the batch needs. The whole share when not given.
        gradient_checkpointing (`bool`, *optional*, defaults to `False`): Compute layers twice to save memory.
        attention (`str`, *optional*, defaults to `"auto"`): What computes it; `packed` is ours, and `auto`
            FlashAttention where it is installed and there is a GPU, else ours.
        torch_compile (`bool`, *optional*, defaults to `False`): Compile the model; has no effect without a GPU.
        liger (`bool`, *optional*, defaults to `False`): Use Liger's kernels; has no effect without them and a GPU.
        loader_workers (`int`, *optional*, defaults to 0): Processes that lay out batches ahead of the training.
        save_every (`int`, *optional*): Updates between checkpoints, beside those that follow every validation.
        report_to (`str`, *optional*, defaults to `"none"`): Where losses are logged, beside the run's own files.
        dry_run (`bool`, *optional*, defaults to `False`): Print what the command would need, and stop.
        num_devices (`int`, *optional*, defaults to 1): Devices that `dry_run` reckons with.
        device_memory_gb (`float`, *optional*, defaults to 80): Memory of each of them.
        device_tflops (`float`, *optional*): Matrix rate of each of them; measured here when not given.
    """

    precision: Literal["auto", "bf16", "fp32"] = "auto"
    deepspeed: str | None = None
    utterances_per_pass: int | None = field(default=None, metadata={"least": 1})
    gradient_checkpointing: bool = False
    attention: Literal["auto", "packed", "flash_attention_2", "sdpa", "eager", "flex_attention"] = "auto"
    torch_compile: bool = False
    liger: bool = False
    loader_workers: int = field(default=0, metadata={"least": 0})
    save_every: int | None = field(default=None, metadata={"least": 1})
    report_to: Literal["none", "tensorboard", "trackio"] = "none"
    dry_run: bool = False
    num_devices: int = field(default=1, metadata={"least": 1})
    device_memory_gb: float = 80.0
    device_tflops: float | None = None


@dataclass
class JointStudyArguments:
    """
    What is studied, and what joint models of speech units and text are asked with `--study joint`.

    Args:
        study (`str`, *optional*, defaults to `"modalities"`): One model for each modality, or models of speech units
            and text together, in the run's folder `joint`.
        cra_blocks (`int`, *optional*, defaults to 50): Blocks of held-out passages for context retrieval.
        cra_block_size (`int`, *optional*, defaults to 8): Passages a block.
        num_prompts (`int`, *optional*, defaults to 60): Test utterances whose second half is generated (PELM).
        external_lm (`str`, *optional*): The language model that judges what was generated, by folder or Hub id; a
            small one, trained once and kept, when not given.
        external_words (`int`, *optional*, defaults to 300000): Words that the small one is trained on.
        transcriber_steps (`int`, *optional*, defaults to 1600): Training steps of what brings units to text.
        slu_tasks (`list[str]`, *optional*, defaults to `["stories_sa", "stories_ner"]`): Tasks that the models of the
            first training seed are fine-tuned on, in speech and in text, and tested on both.
        slu_method (`str`, *optional*, defaults to `"full"`): Whether fine-tuning trains all weights, or a LoRA.
        slu_examples (`int`, *optional*, defaults to 5000): Examples of each task, all splits together.
        slu_epochs (`int`, *optional*, defaults to 3): Passes over them.
        snr (`list[float]`, *optional*): Signal-to-noise ratios in dB at which spoken tasks are tested, too.
        paired_shares (`list[float]`, *optional*): Shares of sequences with both modalities that CST + AST is trained
            with, too, beside a third, with the first training seed; the rest is half speech and half text.
        with_frames (`bool`, *optional*, defaults to `False`): Train CST + AST on every unit, too, without pieces or
            runs, with the first training seed.
    """

    study: Literal["modalities", "joint"] = "modalities"
    cra_blocks: int = field(default=50, metadata={"least": 0})
    cra_block_size: int = field(default=8, metadata={"least": 2})
    num_prompts: int = field(default=60, metadata={"least": 1})
    external_lm: str | None = None
    external_words: int = field(default=300_000, metadata={"least": 1000})
    transcriber_steps: int = field(default=1600, metadata={"least": 1})
    slu_tasks: list[str] = field(default_factory=lambda: ["stories_sa", "stories_ner"])
    slu_method: Literal["full", "lora"] = "full"
    slu_examples: int = field(default=5000, metadata={"least": 10})
    slu_epochs: int = field(default=3, metadata={"least": 1})
    snr: list[float] | None = None
    paired_shares: list[float] | None = field(default=None, metadata={"above": 0, "below": 1})
    with_frames: bool = False


GROUPS = {
    "run": RunArguments,
    "corpus": CorpusArguments,
    "pairs": PairArguments,
    "units": UnitArguments,
    "model": ModelArguments,
    "pretrain": PretrainArguments,
    "hardware": HardwareArguments,
    "joint": JointStudyArguments,
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
    joint: JointStudyArguments

    @property
    def modalities(self) -> list[str]:
        """Names of the run's modalities in the order of the table of modalities."""
        asked = set()
        for name in self.run.modalities:
            if name == "paper":
                asked.update(modality.name for modality in MODALITIES.values() if modality.paper)
            elif name == "all":
                # Syllables are pooled frames, which units from elsewhere have none of.
                known = [entry for entry in MODALITIES.values() if not (self.units.units and entry.unit_of != "frame")]
                asked.update(entry.name for entry in known)
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
        """The run's folder, or that of all replicates."""
        several = "-replicates" if self.run.replicates > 1 else ""
        return Path(self.run.output_dir or Path("runs") / f"{Path(self.run.preset).stem}{several}")

    @property
    def shape(self) -> dict[str, Any]:
        """The language model's shape: arguments of `LlamaConfig`."""
        return {name: value for name, value in asdict(self.model).items() if "vocab_size" not in name}

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Every argument by group, as saved with a run."""
        return {name: asdict(getattr(self, name)) for name in GROUPS}
