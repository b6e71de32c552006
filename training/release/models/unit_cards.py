"""Cards of what reads and writes speech units: quantizer, vocoder and transcriber.

configuration + what was measured -> `README.md` in a prepared folder.
"""

from pathlib import Path
from typing import Any

from ...report.formatting import markdown_table, number, percent
from ..card import (
    JOINT_UNITS_AND_TEXT,
    MODALITY_EVOLVING,
    TAGS,
    cite,
    code,
    license_text,
    link,
    paper_link,
    write_card,
)
from ..names import ReleaseNames
from .ties import UnitTies

_SAFE = (
    "All weights are safetensors. `trust_remote_code=True` runs the Python files of this repository; read them, or "
    "pin a commit with `revision`."
)


def write_quantizer_card(
    folder: Path, tied: UnitTies, names: ReleaseNames, config, quality: dict[str, Any], license_id: str
) -> None:
    """
    Write the card of a quantizer.

    Args:
        folder (`Path`): The prepared folder.
        tied ([`UnitTies`]): What belongs to it.
        names ([`ReleaseNames`]): How repositories are called.
        config ([`SpeechUnitConfig`]): Its configuration.
        quality (`dict[str, Any]`): `quality.json` of the run's units.
        license_id (`str`): Of the card.
    """
    of = f"segments of {config.encoder_label} frames" if config.segment_parts else f"{config.encoder_label} frames"
    lead = (
        f"A k-means quantizer of speech: sound goes in, {config.frame_rate:g} frames a second, and the number of the "
        f"nearest of {config.num_units} clusters of {of} comes out, one a segment. {_describe_segments(config)} "
        if config.segment_parts
        else f"A k-means quantizer of speech: sound goes in, and the number of the nearest of {config.num_units} "
        f"clusters of {of} comes out, {config.frame_rate:g} a second. "
    )
    lead += f"It is the tokenizer of the speech models of this study ({paper_link(MODALITY_EVOLVING)}); its hash is "
    lead += f"`{tied.hash}`, and what goes with it carries the same one as `unit_quantizer_hash`."
    metadata = {"license": license_id, "library_name": "transformers", "pipeline_tag": "feature-extraction"}
    metadata |= {"tags": [*TAGS, "speech-units", "k-means"], "language": "en"}
    if config.pretrained and "/" in config.pretrained["source"]:
        metadata |= {"base_model": [config.pretrained["source"]]}
    segments = of_segments = ""
    if config.segment_parts and not config.segmentation:
        segments = f", segments=[[20, {config.num_frames(config.sampling_rate) - 20}]]"
        of_segments = "  # of its first 20 frames, and of the rest"
    use = code(f"""
import numpy as np
from transformers import AutoModel, AutoProcessor

processor = AutoProcessor.from_pretrained("{tied.quantizer}", trust_remote_code=True)
model = AutoModel.from_pretrained("{tied.quantizer}", trust_remote_code=True)

waveform = 0.1 * np.sin(np.arange({config.sampling_rate}) / 10)  # mono, {config.sampling_rate} samples a second
inputs = processor(waveform, sampling_rate={config.sampling_rate}, return_tensors="pt")
print(model(**inputs{segments}).units){of_segments}
""")
    write_card(
        folder,
        metadata,
        f"{config.num_units} speech units of {config.encoder_label}",
        lead,
        [
            ("Intended use", "Research: to write speech as symbols for a language model, as the study did."),
            ("How to use", f"{use}\n\n{_SAFE}"),
            ("What was measured", _quality_of_units(quality)),
            ("How it was made", _settings(config)),
            ("Limits", _limits(config)),
            ("Credits", _credits(config)),
            cite(),
            ("License", license_text(license_id)),
        ],
    )


def write_vocoder_card(
    folder: Path, tied: UnitTies, names: ReleaseNames, config, quality: dict[str, Any], license_id: str
) -> None:
    """
    Write the card of a vocoder.

    Args:
        folder (`Path`): The prepared folder.
        tied ([`UnitTies`]): What belongs to it.
        names ([`ReleaseNames`]): How repositories are called.
        config (`PretrainedConfig`): Its configuration.
        quality (`dict[str, Any]`): Of [`resynthesis_quality`].
        license_id (`str`): Of the card.
    """
    is_codebook = config.model_type == "codebook_vocoder"
    how = "a table of what each unit sounded like, and a source of pulses and noise" if is_codebook else "a HiFi-GAN"
    speakers = f", speakers=[{config.speakers[0]!r}]" if len(config.speakers) > 1 else ""
    use = code(f"""
from transformers import AutoModel

vocoder = AutoModel.from_pretrained("{tied.vocoder}", trust_remote_code=True)
waveform = vocoder.waveforms([[17, 17, 4, 4, 4, 8]]{speakers})[0]  # {config.sampling_rate} samples a second
print(waveform.shape)
""")
    rows = [
        ("mel-cepstral distortion (dB)", number(quality.get("mcd"), 2)),
        ("error of the pitch (cents)", number(quality.get("f0_rmse_cents"), 0)),
        ("frames voiced in one alone (%)", percent(quality.get("voicing_error"))),
        ("frames", f"{quality.get('num_frames', 0):,.0f}"),
    ]
    write_card(
        folder,
        {"license": license_id, "library_name": "transformers", "pipeline_tag": "text-to-speech", "language": "en"}
        | {
            "tags": [*TAGS, "vocoder", "speech-units"],
        },
        "A vocoder for speech units",
        f"Units of {link(tied.quantizer)} go in, and sound comes out: {how}. Units of any other quantizer are other "
        f"sounds; this one's hash is `{tied.hash}` (`unit_quantizer_hash`).",
        [
            ("Intended use", "Research: to hear what a language model of these units says."),
            ("How to use", f"{use}\n\n{_SAFE}"),
            (
                "What was measured",
                "Validation utterances, turned into units and back, beside what was said:\n\n"
                + markdown_table(["measure", "value"], rows),
            ),
            (
                "Limits",
                "Units hold no pitch"
                + ("" if len(config.speakers) > 1 else " and no voice: everything is said by one voice")
                + ". Sound is intelligible at best, and somewhat buzzy. It was made from the study's own speech, and "
                "nothing is known of other speech.",
            ),
            cite(),
            ("License", license_text(license_id)),
        ],
    )


def write_transcriber_card(
    folder: Path, name: str, tied: UnitTies, names: ReleaseNames, config, results: dict[str, Any], license_id: str
) -> None:
    """
    Write the card of a transcriber of units.

    Args:
        folder (`Path`): The prepared folder.
        name (`str`): Its repository.
        tied ([`UnitTies`]): What belongs to it.
        names ([`ReleaseNames`]): How repositories are called.
        config ([`UnitTranscriberConfig`]): Its configuration.
        results (`dict[str, Any]`): Its `results.json`.
        license_id (`str`): Of the card.
    """
    use = code(f"""
from transformers import AutoModel

transcriber = AutoModel.from_pretrained("{name}", trust_remote_code=True)
print(transcriber.transcribe([[17, 17, 4, 4, 4, 8]]))
""")
    rows = []
    for heard, errors in results.get("transcripts", {}).items():
        cells = [
            f"{percent(errors[key]['value'])} [{percent(errors[key]['low'])}, {percent(errors[key]['high'])}]"
            for key in ("wer", "cer")
            if key in errors
        ]
        if len(cells) == 2:
            rows.append((heard, *cells))
    best = results["training"]["best"]
    words = f"It writes the {len(config.words):,} words of its training and no others" if config.words else ""
    write_card(
        folder,
        {"license": license_id, "library_name": "transformers", "language": "en"}
        | {"pipeline_tag": "automatic-speech-recognition", "tags": [*TAGS, "speech-units", "ctc"]},
        "A transcriber of speech units",
        f"Units of {link(tied.quantizer)} go in, and text comes out (CTC). It was trained on the study's own speech "
        f"to read what its language models say. Hash of the quantizer: `{tied.hash}`.",
        [
            ("Intended use", "Research: to read continuations in units, and to count their errors."),
            ("How to use", f"{use}\n\n{_SAFE}"),
            (
                "What was measured",
                "Errors on the test split, in per cent with 95 % intervals:\n\n"
                + markdown_table(["heard", "words", "characters"], rows)
                + f"\n\nOn the validation split, which chose the weights: {percent(best['wer'])} of words and "
                f"{percent(best['cer'])} of characters, without a search.",
            ),
            (
                "Limits",
                (f"{words}, so that what it writes looks more like text than what was said. " if words else "")
                + "It knows one quantizer and the study's own speech. What a language model makes up is not what it "
                "was trained on.",
            ),
            cite(),
            ("License", license_text(license_id)),
        ],
    )


def _quality_of_units(quality: dict[str, Any]) -> str:
    of_all = ", every frame counted" if "units_per_second_dedup" in quality else ""
    rows = [
        ("phone-normalised mutual information (PNMI)", number(quality.get("pnmi"), 3)),
        ("phone purity", number(quality.get("phone_purity"), 3)),
        ("cluster purity", number(quality.get("cluster_purity"), 3)),
        ("units that are used (%)", percent(quality.get("units_used"))),
        ("units a second, runs collapsed", number(quality.get("units_per_second_dedup"))),
        (f"bits a second{of_all}", number(quality.get("bits_per_second"), 0)),
    ]
    told = f"On {quality.get('num_utterances', 0):,.0f} utterances of the study that it was not fitted on:\n\n"
    return told + markdown_table(["measure", "value"], [row for row in rows if row[1] != "–"])


def _settings(config) -> str:
    fit = config.fit or {}
    rows = [
        ("encoder", config.encoder_label),
        ("clusters", f"{config.num_units:,}"),
        ("frames a second", f"{config.frame_rate:g}"),
        ("normalised by", {"none": "corpus"}.get(config.normalization, config.normalization)),
        ("penalty for a change", f"{config.duration_penalty:g}" if config.duration_penalty else ""),
        ("utterances of the fit", f"{fit['num_utterances']:,}" if "num_utterances" in fit else ""),
        ("frames of the fit", f"{fit['num_sampled_frames']:,}" if "num_sampled_frames" in fit else ""),
        ("seed", str(fit.get("seed", ""))),
    ]
    if config.pretrained:
        rows.insert(1, ("encoder's weights", f"{config.pretrained['source']}, layer {config.pretrained['layer']}"))
    return markdown_table(["setting", "value"], [row for row in rows if row[1] != ""])


def _describe_segments(config) -> str:
    if config.segmentation:
        return "Segments are syllables and pauses, found in the sound alone."
    return "Segments are given with the sound: the study's are syllables, from its aligned phones."


def _credits(config) -> str:
    """Whose weights the encoder has; nothing of one that computes spectra."""
    if not config.pretrained:
        return ""
    source, revision = config.pretrained["source"], config.pretrained["revision"]
    name = link(source) if "/" in source else f"`{source}`"
    return (
        f"The encoder is {name}{f' at `{revision}`' if revision else ''}: this repository holds its weights up to "
        f"layer {config.pretrained['layer']}, under the terms of those who trained it; the codebook alone is of this "
        "study."
    )


def _limits(config) -> str:
    told = "It was fitted on the study's own speech; on other voices and languages nothing was measured. "
    if config.encoder in ("mfcc", "log_mel"):
        told += (
            f"{config.encoder_label} frames follow a voice as closely as its words; both papers use units of HuBERT "
            f"({paper_link(MODALITY_EVOLVING)}, {paper_link(JOINT_UNITS_AND_TEXT)}). "
        )
    if config.normalization == "speaker":
        told += "It normalises by speaker and knows those of its corpus alone; others are added with `add_speaker`. "
    return told
