"""`evoslm continue`: a prompt of one's own, as a text, phones or a recording, and what a model makes of it.

model + prompt -> a pipeline -> continuations, printed, and with `--output_dir` heard: `continuations.json` and a wav
each.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ....models.files import write_json
from ....models.modalities import get_modality
from ....models.phones import ARPABET
from ...arguments.fields import check_values
from ...run.environment import describe_versions
from ...run.study_file import open_run, read_study
from ...run.workers import resolve_device

if TYPE_CHECKING:
    from ....models.pipelines import SpeechContinuation, SpeechContinuationPipeline

CONTINUATIONS_FILE = "continuations.json"


@dataclass
class ContinueArguments:
    """
    A model, a prompt, and how it is continued.

    Args:
        model (`str`): The folder of a language model of any modality or of a joint one, an id on the Hub, or a run's
            folder, of which `--modality` says which model.
        prompt (`str`, *optional*): A text.
        phones (`str`, *optional*): Instead, ARPAbet phones with stress and spaces between them: `"DH AH0 OW1 L D"`.
        audio (`str`, *optional*): Instead, a recording.
        modality (`str`, *optional*): Of a run, the model's modality.
        training_seed (`int`, *optional*): Of a run, the model's training seed; its first when not given.
        revision (`str`, *optional*): Of a model on the Hub, its commit, branch or tag.
        num_continuations (`int`, *optional*, defaults to 1): Continuations of each seed.
        seeds (`list[int]`, *optional*, defaults to `[0]`): Of the draws.
        temperature (`float`, *optional*, defaults to 1.0): Of the distribution that tokens are drawn from; 0 takes the
            likeliest.
        top_p (`float`, *optional*, defaults to 0.9): Only the likeliest tokens that have this probability together are
            drawn.
        max_seconds (`float`, *optional*, defaults to 6.0): The longest continuation.
        max_new_tokens (`int`, *optional*): The longest in tokens, beside that.
        direction (`str`, *optional*): Of a joint model, the modality of the prompt and of the continuation.
        quantizer (`str`, *optional*): What makes units of sound, by folder or id; what the model names, or what lies
            in its run, when not given.
        vocoder (`str`, *optional*): What makes sound of units; likewise.
        transcriber (`str`, *optional*): A recogniser, or a transcriber of units; likewise.
        output_dir (`str`, *optional*): Where continuations are written, with a wav of each that can be heard.
        device (`str`, *optional*, defaults to `"auto"`): Where models run; `auto` takes a GPU where there is one.
    """

    model: str
    prompt: str | None = None
    phones: str | None = None
    audio: str | None = None
    modality: str | None = None
    training_seed: int | None = None
    revision: str | None = None
    num_continuations: int = field(default=1, metadata={"least": 1, "most": 64})
    seeds: list[int] = field(default_factory=lambda: [0])
    temperature: float = field(default=1.0, metadata={"least": 0})
    top_p: float = field(default=0.9, metadata={"above": 0, "most": 1})
    max_seconds: float = field(default=6.0, metadata={"above": 0, "most": 60})
    max_new_tokens: int | None = field(default=None, metadata={"least": 1})
    direction: Literal["u2u", "t2t", "u2t", "t2u"] | None = None
    quantizer: str | None = None
    vocoder: str | None = None
    transcriber: str | None = None
    output_dir: str | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"


def continue_prompt(arguments: ContinueArguments) -> list["SpeechContinuation"]:
    """
    Continue a prompt, print the continuations, and write them where asked.

    Args:
        arguments ([`ContinueArguments`]): Of the command.

    Returns:
        `list[SpeechContinuation]`: Seed by seed.

    Raises:
        `FileNotFoundError`: If there is no such model or recording.
        `ValueError`: If there is not exactly one prompt, a phone is unknown, or the model does not read such a prompt.
    """
    check_values(arguments)
    given = [name for name in ("prompt", "phones", "audio") if getattr(arguments, name) is not None]
    if len(given) != 1:
        raise ValueError("Give one prompt: --prompt with a text, --phones with ARPAbet, or --audio with a recording.")
    phones = None if arguments.phones is None else _read_phones(arguments.phones)
    if arguments.audio is not None and not Path(arguments.audio).is_file():
        raise FileNotFoundError(f"There is no recording {arguments.audio}.")
    pipe = _load(arguments, _find_model(arguments))
    prompt: Any = arguments.prompt if phones is None else _speak(pipe, phones)
    if arguments.audio is not None:
        prompt = Path(arguments.audio)
    encoded = pipe.encode(prompt, arguments.direction)
    continuations = [
        continuation
        for seed in arguments.seeds
        for continuation in pipe(
            encoded,
            num_continuations=arguments.num_continuations,
            max_seconds=arguments.max_seconds,
            temperature=arguments.temperature,
            top_p=arguments.top_p,
            seed=seed,
            direction=arguments.direction,
            max_new_tokens=arguments.max_new_tokens,
        )
    ]
    seeds = [seed for seed in arguments.seeds for _ in range(arguments.num_continuations)]
    print(f"{encoded.text or encoded.content} ...")
    for seed, continuation in zip(seeds, continuations):
        print(f"seed {seed} ({continuation.stop_reason}): {_describe(continuation)}")
    if arguments.output_dir is not None:
        folder = _write(Path(arguments.output_dir), arguments, encoded, seeds, continuations)
        print(f"The continuations are in {folder}.")
    return continuations


def _describe(continuation: "SpeechContinuation") -> str:
    """What it says, and how that is written where it is something else."""
    if continuation.text is None:
        return continuation.content or "(nothing)"
    is_text = continuation.text == continuation.content.strip()
    return (continuation.text or "(nothing)") + ("" if is_text else f"  [{continuation.content}]")


def _find_model(arguments: ContinueArguments) -> str:
    folder = Path(arguments.model)
    if not (folder / "study.json").is_file():
        if arguments.modality is not None or arguments.training_seed is not None:
            raise ValueError(
                f"--modality and --training_seed choose a model of a run, and {arguments.model} is none; leave them "
                "out."
            )
        return arguments.model
    run, study = open_run(folder), read_study(folder)
    if arguments.modality is None:
        raise ValueError(f"{folder} is a run; give --modality, one of {', '.join(study['modalities'])}.")
    get_modality(arguments.modality)
    seed = study["seeds"][0] if arguments.training_seed is None else arguments.training_seed
    model = run.model(arguments.modality, seed)
    if not (model / "config.json").is_file():
        raise FileNotFoundError(
            f"{folder} has no model of {arguments.modality} with seed {seed}; it has {', '.join(study['modalities'])} "
            f"with seeds {', '.join(map(str, study['seeds']))}."
        )
    return str(model)


def _load(arguments: ContinueArguments, model: str) -> "SpeechContinuationPipeline":
    from ....pipelines import SPEECH_CONTINUATION, pipeline

    return pipeline(
        SPEECH_CONTINUATION,
        model,
        quantizer=arguments.quantizer,
        vocoder=arguments.vocoder,
        transcriber=arguments.transcriber,
        revision=arguments.revision,
        device=resolve_device(arguments.device),
    )


def _read_phones(text: str) -> list[str]:
    phones = text.split()
    unknown = [phone for phone in phones if phone not in ARPABET]
    if unknown or not phones:
        what = f"{unknown[0]!r} is no phone" if unknown else "There are no phones in --phones"
        raise ValueError(f"{what}; give ARPAbet with stress, such as 'DH AH0 OW1 L D M AE1 N'.")
    return phones


def _speak(pipe: "SpeechContinuationPipeline", phones: list[str]) -> Any:
    """Phones as a prompt that was heard; a model of text has no letters for them."""
    from ....models.audio import SAMPLE_RATE
    from ....models.pipelines import HeardPrompt, SpokenText

    if pipe.modality.column == "text":
        raise ValueError(f"A model of {pipe.modality.label} reads no phones; give --prompt with a text.")
    spoken = pipe.synthesizer.speak_phones(phones)
    return HeardPrompt(spoken.audio, SAMPLE_RATE, SpokenText(spoken.audio, spoken.phones, "", []))


def _write(
    folder: Path,
    arguments: ContinueArguments,
    encoded: Any,
    seeds: list[int],
    continuations: list["SpeechContinuation"],
) -> Path:
    """`continuations.json`, and the sound of each: what it says alone, not the prompt."""
    import soundfile

    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, (seed, continuation) in enumerate(zip(seeds, continuations)):
        row = {"seed": seed, "text": continuation.text, "content": continuation.content}
        row |= {"stop_reason": continuation.stop_reason, "tokens": len(continuation.ids)}
        row |= {"log_likelihood": sum(continuation.log_likelihoods), "audio": None}
        if continuation.audio is not None and len(continuation.audio):
            row["audio"] = f"{number:03d}.wav"
            soundfile.write(folder / row["audio"], continuation.audio, continuation.sampling_rate, subtype="PCM_16")
        rows.append(row)
    kept = ("model", "modality", "training_seed", "revision", "temperature", "top_p", "max_seconds", "max_new_tokens")
    made_with = {name: getattr(arguments, name) for name in kept} | {"versions": describe_versions()}
    prompt = {"text": encoded.text, "content": encoded.content}
    write_json(folder / CONTINUATIONS_FILE, {"prompt": prompt, "continuations": rows, "made_with": made_with})
    return folder
