"""A Piper voice: its two files, checked, and its network, which says how long each phoneme lasts.

folder or Hub path -> [`find_voice`] -> [`PiperVoice`] -> phoneme ids -> samples, and samples of each id.
The network draws noise from a generator that cannot be set back between two calls. Here the graph is changed, so that
it takes the noise as an input, and gives the durations that it rounds as an output: a sentence then sounds the same
whatever was spoken before, in any process.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ...models.hub_commit import find_commit

PACKAGES = ("onnx", "onnxruntime")
_LANGUAGE = "en-us"
_KEYS = ("audio", "espeak", "phoneme_id_map", "num_symbols", "num_speakers")
_INPUTS = {"input", "input_lengths", "scales"}
_DURATIONS = "evoslm_durations"
_NOISE = "evoslm_noise"
# Beside the length of a sentence: 192 numbers for each of 10,900 frames of 256 samples, two minutes.
_NOISE_SIZE = 2**21
_LONGEST = 2048


@dataclass(frozen=True)
class VoiceFiles:
    """
    Where a voice lies on this machine.

    Args:
        network (`Path`): The `.onnx` file.
        hub_path (`str`, *optional*): `owner/name/folder` on the Hub.
        commit (`str`, *optional*): The commit it was read at.
    """

    network: Path
    hub_path: str | None = None
    commit: str | None = None

    @property
    def configuration(self) -> Path:
        """The `.onnx.json` file."""
        return self.network.with_name(f"{self.network.name}.json")

    def digest(self) -> str:
        """Sixteen hexadecimal digits for what both files hold."""
        digest = hashlib.sha256()
        for path in (self.network, self.configuration):
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()[:16]


def find_voice(name: str) -> VoiceFiles:
    """
    Find the files of a voice, from the Hub if need be.

    Args:
        name (`str`): A folder with one `.onnx` file, such a file, or a folder of a repository on the Hub,
            `rhasspy/piper-voices/en/en_US/joe/medium`, with `@REVISION` behind it where it should not be the newest.

    Raises:
        `FileNotFoundError`: If there is no such folder or repository, or a file is missing.
        `ValueError`: If a folder holds several voices.
    """
    path, hub_path, commit = Path(name), None, None
    if not path.exists():
        hub_path, _, revision = name.partition("@")
        parts = hub_path.strip("/").split("/")
        if len(parts) < 3 or name.startswith((".", "/")):
            raise FileNotFoundError(
                f"There is no folder {name} of a Piper voice; give one, or a path on the Hub such as "
                "rhasspy/piper-voices/en/en_US/joe/medium."
            )
        path, commit = _download("/".join(parts[:2]), "/".join(parts[2:]), revision or None)
    networks = [path] if path.is_file() else sorted(path.glob("*.onnx"))
    if len(networks) != 1:
        found = f"{len(networks)} .onnx files, give one of them" if networks else "no .onnx file of a Piper voice"
        raise (ValueError if networks else FileNotFoundError)(f"{name} holds {found}.")
    files = VoiceFiles(networks[0], hub_path, commit)
    if not files.configuration.is_file():
        raise FileNotFoundError(
            f"{files.network} lacks its {files.configuration.name}, which says what its phonemes are; put the voice's "
            "own beside it."
        )
    return files


class PiperVoice:
    """
    A voice that speaks phonemes.

    Args:
        files ([`VoiceFiles`]): The voice.

    Raises:
        `ValueError`: If a package is not installed, the JSON is none of a Piper voice, is of another network or of
            another language, or the network does not round durations in one place.
    """

    def __init__(self, files: VoiceFiles):
        for package in PACKAGES:
            if find_spec(package) is None:
                raise ValueError(f"A Piper voice needs the package {package}: `pip install 'evoslm[piper]'`.")
        self.files = files
        self.configuration = _read_configuration(files)
        self._model = _load_network(files, self.configuration)

    @property
    def name(self) -> str:
        """The voice's name, such as `en_US-joe-medium`."""
        return self.files.network.stem

    @property
    def sample_rate(self) -> int:
        """Of its samples, in Hz."""
        return self.configuration["audio"]["sample_rate"]

    @property
    def phoneme_ids(self) -> dict[str, list[int]]:
        """Ids of each phoneme, and of the marks for begin, end, word and clause."""
        return self.configuration["phoneme_id_map"]

    @cached_property
    def speakers(self) -> dict[str, int]:
        """Number of each speaker by name; one that has a single speaker is named as the voice."""
        if self.configuration["num_speakers"] == 1:
            return {self.name: 0}
        names = {number: name for name, number in self.configuration.get("speaker_id_map", {}).items()}
        numbers = range(self.configuration["num_speakers"])
        return {f"{self.name}-{names.get(number, number)}": number for number in numbers}

    @property
    def default_speaker(self) -> str:
        """The speaker that speaks if nobody asks for another."""
        return list(self.speakers)[self.configuration.get("default_speaker_id", 0)]

    def describe(self) -> dict[str, Any]:
        """What makes it sound as it does, wherever it lies."""
        described = {"voice": self.name, "files": self.files.digest()}
        if self.files.commit is not None:
            described |= {"source": self.files.hub_path, "revision": self.files.commit}
        return described

    def speak(
        self, ids: list[int], speaker: str, slowness: float = 1.0, random_durations: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """
        Speak phonemes.

        Args:
            ids (`list[int]`): Their ids with all marks.
            speaker (`str`): One of `speakers`.
            slowness (`float`, *optional*, defaults to 1.0): Factor of the voice's own durations.
            random_durations (`bool`, *optional*, defaults to `False`): Whether durations vary as much as the voice's
                own `noise_w` says, or are the likeliest.

        Returns:
            `tuple[np.ndarray, np.ndarray]`: Samples, float32 from -1 to 1, and how many of them each id has.

        Raises:
            `ValueError`: If they are too many for a sentence.
        """
        if len(ids) > _LONGEST:
            raise ValueError(f"A sentence of {len(ids)} phonemes and marks is longer than {_LONGEST}; split it.")
        inference = self.configuration.get("inference", {})
        number = self.speakers[speaker]
        scales = (
            inference.get("noise_scale", 0.667),
            inference.get("length_scale", 1.0) * slowness,
            inference.get("noise_w", 0.8) if random_durations else 0.0,
        )
        inputs = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": np.array(scales, np.float32),
        }
        if self.configuration["num_speakers"] > 1:
            inputs["sid"] = np.array([number], np.int64)
        seed = hashlib.sha256(f"{ids} {number}".encode()).digest()
        # Where a sentence begins to read in the table decides its noise: drawing it anew would cost more time.
        start = int.from_bytes(seed[:8], "big") % (len(self._noise) - _NOISE_SIZE)
        for name in self._noise_inputs:
            inputs[name] = self._noise[start : start + _NOISE_SIZE]
        samples, durations = self._session.run(["output", _DURATIONS], inputs)
        return samples.ravel(), durations.ravel().astype(np.int64) * self.configuration.get("hop_length", 256)

    @cached_property
    def _session(self):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # Processes work side by side; and the order of a sum must not depend on the number of cores.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        model = self._model.SerializeToString()
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    @cached_property
    def _noise_inputs(self) -> list[str]:
        return [given.name for given in self._session.get_inputs() if given.name.startswith(_NOISE)]

    @cached_property
    def _noise(self) -> np.ndarray:
        return np.random.default_rng(0).standard_normal(2 * _NOISE_SIZE, dtype=np.float32)


def _download(repo_id: str, folder: str, revision: str | None) -> tuple[Path, str]:
    """A folder of a repository at one commit, and that commit."""
    from huggingface_hub import snapshot_download

    commit = find_commit(repo_id, revision, repo_type="model")
    patterns = [f"{folder}/*.onnx", f"{folder}/*.onnx.json"]
    snapshot = Path(snapshot_download(repo_id, revision=commit, allow_patterns=patterns))
    if not (snapshot / folder).is_dir():
        raise FileNotFoundError(f"{repo_id} has no voice in {folder} on the Hub, at commit {commit}.")
    return snapshot / folder, commit


def _read_configuration(files: VoiceFiles) -> dict[str, Any]:
    path = files.configuration
    try:
        configuration = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); give the voice's own.") from None
    missing = [key for key in _KEYS if key not in configuration]
    if missing:
        raise ValueError(f"{path} is not of a Piper voice: it lacks {missing[0]!r}.")
    language = configuration["espeak"].get("voice")
    if (configuration.get("phoneme_type", "espeak"), language) != ("espeak", _LANGUAGE):
        raise ValueError(
            f"{files.network.stem} speaks {language}; phones are those of espeak's {_LANGUAGE} here: choose an en_US "
            "voice."
        )
    return configuration


def _load_network(files: VoiceFiles, configuration: dict[str, Any]):
    """The graph with durations as an output and noise as an input, if it is the one that the JSON is of."""
    import onnx

    try:
        model = onnx.load(str(files.network))
    except Exception as error:  # what protobuf raises has no class of its own that stays
        raise ValueError(f"{files.network} is no ONNX file ({error}).") from None
    inputs, speakers = {given.name for given in model.graph.input}, configuration["num_speakers"]
    expected = _INPUTS | ({"sid"} if speakers > 1 else set())
    if inputs != expected:
        raise ValueError(
            f"{files.configuration.name} is of another model than {files.network.name}: for {speakers} speakers it "
            f"would have the inputs {', '.join(sorted(expected))}, and it has {', '.join(sorted(inputs))}."
        )
    for given, what, said in (("input", "symbols", configuration["num_symbols"]), ("sid", "speakers", speakers)):
        rows = _embedding_rows(model.graph, given)
        if rows is not None and rows != said:
            raise ValueError(
                f"{files.configuration.name} is of another model than {files.network.name}: it says {said} {what}, "
                f"and the network has {rows}."
            )
    _add_durations(model.graph, files)
    _take_noise(model.graph, files)
    return model


def _embedding_rows(graph, given: str) -> int | None:
    """How many different values of an input the network knows, where it looks them up in a table."""
    tables = {tensor.name: tensor.dims[0] for tensor in graph.initializer if len(tensor.dims) == 2}
    rows = (tables.get(node.input[0]) for node in graph.node if node.op_type == "Gather" and node.input[1] == given)
    return next(rows, None)


def _add_durations(graph, files: VoiceFiles) -> None:
    import onnx

    rounded = [node.output[0] for node in graph.node if node.op_type == "Ceil"]
    if len(rounded) != 1:
        raise ValueError(
            f"{files.network.name} does not say how long its phonemes last: durations are rounded in {len(rounded)} "
            "places of its network, and a Piper voice does so in one; choose another voice."
        )
    graph.node.append(onnx.helper.make_node("Identity", rounded, [_DURATIONS]))
    graph.output.append(onnx.helper.make_tensor_value_info(_DURATIONS, onnx.TensorProto.FLOAT, None))


def _take_noise(graph, files: VoiceFiles) -> None:
    """Replace each node that draws noise of some shape by the first so many numbers of an input, in that shape."""
    from onnx import TensorProto, helper

    zero, nodes = f"{_NOISE}_zero", []
    graph.initializer.append(helper.make_tensor(zero, TensorProto.INT64, [1], [0]))
    for i, node in enumerate(graph.node):
        if node.op_type != "RandomNormalLike":
            if node.op_type.startswith("Random"):
                raise ValueError(
                    f"{files.network.name} draws noise with {node.op_type}, which no seed makes the same again; "
                    "choose another voice."
                )
            nodes.append(node)
            continue
        name = f"{_NOISE}_{i}"
        shape, size, flat = (f"{name}_{part}" for part in ("shape", "size", "flat"))
        graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [_NOISE_SIZE]))
        nodes += [
            helper.make_node("Shape", [node.input[0]], [shape]),
            helper.make_node("ReduceProd", [shape], [size], keepdims=1),
            helper.make_node("Slice", [name, zero, size], [flat]),
            helper.make_node("Reshape", [flat, shape], [node.output[0]]),
        ]
    del graph.node[:]
    graph.node.extend(nodes)
