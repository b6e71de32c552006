"""A Piper voice of a few kilobytes: it hums, with the inputs, the noise and the durations of a real network."""

import json
from pathlib import Path

import onnx
from onnx import TensorProto, helper

SPEAKERS = {"ann": 0, "bob": 1, "cid": 2}
_SYMBOLS = "_^$ !'(),-.:;?abcdefhijklmnopqrstuvwxyzæçðøħŋœɐɑɒɓɔɕɖɗɘəɚɛɜɞɟɡɪɫɬɹɾʀʃʊʌʍʎʒʔʲˈˌː\u0329βθᵻ"
IDS = {symbol: [number] for number, symbol in enumerate(_SYMBOLS)}
HOP = 256


def write_voice(folder: Path, speakers: dict[str, int] | None = None, name: str = "en_US-tiny-low") -> Path:
    """
    Write a voice whose phonemes last two to six frames, longer for later speakers, who also hum higher.

    Args:
        folder (`Path`): Where to.
        speakers (`dict[str, int]`, *optional*): Their numbers by name; a single speaker when not given.
        name (`str`, *optional*): The voice's name.

    Returns:
        `Path`: The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(network(len(speakers or {"": 0})), folder / f"{name}.onnx")
    (folder / f"{name}.onnx.json").write_text(json.dumps(configuration(speakers)))
    return folder


def configuration(speakers: dict[str, int] | None = None) -> dict:
    """What the JSON beside the network says."""
    return {
        "audio": {"sample_rate": 22_050},
        "espeak": {"voice": "en-us"},
        "inference": {"noise_scale": 0.5, "length_scale": 1.0, "noise_w": 0.8},
        "phoneme_type": "espeak",
        "phoneme_id_map": IDS,
        "num_symbols": len(IDS),
        "num_speakers": len(speakers or {"": 0}),
        "speaker_id_map": speakers or {},
    }


def network(num_speakers: int) -> onnx.ModelProto:
    """The graph: durations are rounded from a table and noise, sound is a hum of their total length and noise."""
    integers, floats = TensorProto.INT64, TensorProto.FLOAT
    constants = {
        "durations": (floats, [len(IDS), 1], [1.5 + number % 5 for number in range(len(IDS))]),
        "pace": (floats, [num_speakers, 1], [1.0 + 0.2 * number for number in range(num_speakers)]),
        "hop": (floats, [], [HOP]),
        "quiet": (floats, [], [0.1]),
        "zero": (floats, [], [0.0]),
        "one": (floats, [], [1.0]),
        "hum": (floats, [], [0.05]),
        "axis": (integers, [1], [2]),
        "first": (integers, [], [0]),
        "second": (integers, [], [1]),
        "third": (integers, [], [2]),
        "shape": (integers, [4], [1, 1, 1, -1]),
    }
    speaker = "sid" if num_speakers > 1 else "first"
    make = helper.make_node
    nodes = [
        *(
            make("Gather", ["scales", at], [to])
            for at, to in (("first", "noise"), ("second", "slow"), ("third", "vary"))
        ),
        make("Gather", ["durations", "input"], ["of_ids"]),
        make("Squeeze", ["of_ids", "axis"], ["row"]),
        make("Gather", ["pace", speaker], ["of_speaker"]),
        make("RandomNormalLike", ["row"], ["drawn"]),
        make("Mul", ["drawn", "vary"], ["varied"]),
        make("Add", ["row", "varied"], ["moved"]),
        make("Max", ["moved", "one"], ["positive"]),
        make("Mul", ["positive", "slow"], ["slowed"]),
        make("Mul", ["slowed", "of_speaker"], ["lasting"]),
        make("Ceil", ["lasting"], ["rounded"]),
        make("ReduceSum", ["rounded"], ["frames"], keepdims=0),
        make("Mul", ["frames", "hop"], ["length"]),
        make("Range", ["zero", "length", "one"], ["positions"]),
        make("ReduceSum", ["of_speaker"], ["height"], keepdims=0),
        make("Mul", ["hum", "height"], ["pitch"]),
        make("Mul", ["positions", "pitch"], ["phases"]),
        make("Sin", ["phases"], ["tone"]),
        make("RandomNormalLike", ["tone"], ["hiss"]),
        make("Mul", ["hiss", "noise"], ["some_hiss"]),
        make("Add", ["tone", "some_hiss"], ["loud"]),
        make("Mul", ["loud", "quiet"], ["sound"]),
        make("Reshape", ["sound", "shape"], ["output"]),
    ]
    inputs = {"input": (integers, [1, "phonemes"]), "input_lengths": (integers, [1]), "scales": (floats, [3])}
    if num_speakers > 1:
        inputs["sid"] = (integers, [1])
    tensors = [helper.make_tensor(name, *values) for name, values in constants.items()]
    described = [helper.make_tensor_value_info(given, *kind) for given, kind in inputs.items()]
    output = [helper.make_tensor_value_info("output", floats, [1, 1, 1, "time"])]
    graph = helper.make_graph(nodes, "voice", described, output, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
