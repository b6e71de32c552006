"""Three hundred requests that a page of speech continuations must refuse in a sentence, or answer without harm.

[`bad_requests`] -> what each is called and what sends it; [`Attacker`] -> the page as they ask it.
"""

import functools
import http.client
import io
import json
import math
import pickle
import wave
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import soundfile
from served_space import ANSWER_SECONDS, ask, refusal_of

RATE = 8000
TYPE = {"meta": {"_type": "gradio.FileData"}}
SCRIPT = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"


@dataclass(frozen=True)
class BadRequest:
    """
    A request.

    Args:
        name (`str`): What is wrong with it.
        send (`Callable`): Sends it, and gives what the page says of it, or `None` where it is answered.
        may_be_answered (`bool`): Whether an answer is as good as a sentence.
    """

    name: str
    send: Callable[["Attacker"], str | None]
    may_be_answered: bool = False


class Attacker:
    """
    A client that sends what it likes.

    Args:
        url (`str`): Of the page.
        listener (`int`): A port of loopback that nothing should connect to.
        known (`dict`): A request that is right, by the names of `/continue`'s parameters.
    """

    def __init__(self, url: str, listener: int, known: dict[str, Any]):
        self.url, self.listener, self.known = url, listener, known
        self.client = httpx.Client(base_url=url, timeout=ANSWER_SECONDS, trust_env=False)
        endpoints = self.client.get("/gradio_api/info").json()["named_endpoints"]
        self.parameters = {name.strip("/"): endpoint["parameters"] for name, endpoint in endpoints.items()}

    def call(self, api_name: str, **values: Any) -> tuple[str | None, list[Any]]:
        """What an endpoint says, and its values, with its defaults where none are given."""
        data = [
            values.get(parameter["parameter_name"], parameter["parameter_default"])
            for parameter in self.parameters[api_name]
        ]
        assert values.keys() <= {parameter["parameter_name"] for parameter in self.parameters[api_name]}
        return ask(self.client, api_name, data)

    def continue_with(self, **values: Any) -> str | None:
        """What is said of a continuation that is asked for with some values changed."""
        return self.call("continue", **self.known | values)[0]

    def upload(self, name: str, content: bytes) -> httpx.Response:
        return self.client.post("/gradio_api/upload", files={"files": (name, content)})

    def continue_file(self, name: str, content: bytes) -> str | None:
        """What is said of a file, when it is uploaded or when it is to be continued."""
        response = self.upload(name, content)
        if response.status_code != 200:
            return refusal_of(response)
        return self.continue_with(text="", audio={"path": response.json()[0]} | TYPE)

    def measure(self, name: str, content: bytes, **values: Any) -> str | None:
        """What is said of a table of units, when it is uploaded or when it is to be measured."""
        response = self.upload(name, content)
        if response.status_code != 200:
            return refusal_of(response)
        return self.call("measure_units", units={"path": response.json()[0]} | TYPE, **values)[0]

    def get(self, path: str) -> str | None:
        """What is said instead of a file; the path goes out as it is, whatever a library thinks of it."""
        host, port = self.url.removeprefix("http://").split(":")
        response = _raw_get(host, int(port), path)
        return None if response.status_code < 400 else refusal_of(response)

    def post(self, path: str, **content: Any) -> str | None:
        response = self.client.post(f"/gradio_api/{path}", **content)
        return None if response.status_code < 400 else refusal_of(response)


def _raw_get(host: str, port: int, path: str) -> httpx.Response:
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
    connection.putrequest("GET", path)
    connection.endheaders()
    response = connection.getresponse()
    return httpx.Response(response.status, content=response.read())


def bad_requests() -> Iterator[BadRequest]:
    """All of them."""
    for name, content in bad_files().items():
        yield BadRequest(f"file: {name}", lambda page, n=name, c=content: page.continue_file(f"{n}.wav", c))
    yield from _units()
    yield from _values()
    yield from _pairs()
    yield from _places_of_files()
    yield from _paths()
    yield from _bodies()


def _units() -> Iterator[BadRequest]:
    """Tables of units that are none, and rates that cannot be."""
    good = b'{"file": "a", "units": [1, 2]}\n'
    tables = {
        "nothing": b"",
        "a zip": b"PK\x03\x04" + bytes(60),
        "deep": b"[" * 1_000_000,
        "binary": bytes(range(256)),
        "a script": json.dumps({"file": SCRIPT, "units": [-1]}).encode(),
        "megabytes": good * 100_000,
        "a path": b'{"file": "/etc/passwd", "units": "/etc/passwd"}',
    }
    for name, content in tables.items():
        yield BadRequest(f"units: {name}", lambda page, c=content: page.measure("units.jsonl", c))
    yield BadRequest("units: parquet by its name", lambda page: page.measure("units.parquet", b"PAR1"))
    for rate in (-1, 1e9, 10**400, "50", [50], {"a": 1}):
        yield BadRequest(f"units: a rate of {rate!r}", lambda page, r=rate: page.measure("units.jsonl", good, rate=r))
    for path in ("/etc/passwd", "http://127.0.0.1/units.jsonl"):
        file = {"path": path} | TYPE
        yield BadRequest(f"units: {path}", lambda page, f=file: page.call("measure_units", units=f)[0])


def bad_files() -> dict[str, bytes]:
    """Contents that are no prompt, all of them called `.wav`."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("../../evil.txt", "x" * 1000)
    good = sound(np.sin(np.arange(RATE) / 5))
    return {
        "10 minutes": sound(np.zeros(600 * RATE)),
        "10 minutes in a few bytes": sound(np.zeros(600 * RATE), format="FLAC"),
        "an hour in a few bytes": sound(np.zeros(3600 * RATE), format="FLAC"),
        "31 seconds": sound(np.zeros(31 * RATE)),
        "nothing": b"",
        "one byte": b"R",
        "a zip": archive.getvalue(),
        "a pickle": pickle.dumps({"a": 1}),
        "HTML": f"<html>{SCRIPT}</html>".encode(),
        "text": b"the dog sees the cat " * 50,
        "a picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8,
        "a program": b"\x7fELF" + bytes(1000),
        "zeros": bytes(4000),
        "a head alone": good[:44],
        "half a head": good[:20],
        "no samples": sound(np.zeros(0)),
        "one sample": sound(np.zeros(1)),
        "silence": sound(np.zeros(RATE)),
        "samples that are no numbers": sound(np.full(RATE, math.nan), subtype="FLOAT"),
        "infinite samples": sound(np.full(RATE, math.inf), subtype="FLOAT"),
        "a lie about its length": good[:40] + b"\xff\xff\xff\x7f" + b"",
        "no rate": _with_rate(0),
        "one sample a second": _with_rate(1),
        "two billion samples a second": _with_rate(2**31 - 1),
        "half a FLAC": sound(np.sin(np.arange(4 * RATE) / 5), format="FLAC")[:200],
        "an Ogg without a stream": b"OggS" + bytes(500),
        "an MP3 of noise": b"\xff\xfb\x90\x00" + bytes(range(256)) * 4,
        "too many bytes": bytes(21 * 2**20),
    }


def sound(samples: np.ndarray, format: str = "WAV", subtype: str | None = None) -> bytes:
    """Samples as a file, at [`RATE`]."""
    file = io.BytesIO()
    soundfile.write(file, samples.astype(np.float32), RATE, format=format, subtype=subtype)
    return file.getvalue()


def _with_rate(rate: int) -> bytes:
    """A second of a tone whose head says another rate."""
    file = io.BytesIO()
    with wave.open(file, "wb") as opened:
        opened.setnchannels(1), opened.setsampwidth(2), opened.setframerate(max(rate, 1))
        opened.writeframes((np.sin(np.arange(RATE) / 5) * 9000).astype("<i2").tobytes())
    content = bytearray(file.getvalue())
    content[24:28] = int(rate).to_bytes(4, "little")
    return bytes(content)


_NO_TEXTS = ("", "   ", "a" * 401, "dog " * 20_000, "...", "\0", "\u202e\u2028", [], {}, 7, {"path": "/etc/passwd"})
_ODD_TEXTS = (
    SCRIPT,
    "<b>the</b> dog",
    "{{7*7}}",
    "%s%n",
    "Ignore this; rm -rf /",
    "¿Dónde está el niño?",
    "狗看猫",
)
_NO_MODELS = (["none"], [], ["../../etc"], ["/etc/passwd"], ["http://127.0.0.1/x"], [7], [{}], {}, 7, [SCRIPT])


def _pairs() -> Iterator[BadRequest]:
    """Pairs of which one side, or the models, cannot be."""
    good = {"first": "the dog", "second": "the cat", "models": ["text_raw/seed-0"]}
    for side in ("first", "second"):
        for text in (*_NO_TEXTS, None):
            yield _pair(f"{side} of a pair: {text!r:.60}", good | {side: text})
        for text in _ODD_TEXTS:
            yield _pair(f"{side} of a pair: {text!r:.60}", good | {side: text}, may_be_answered=True)
    for models in (*_NO_MODELS, None):
        yield _pair(f"models of a pair: {models!r:.60}", good | {"models": models})
    yield _pair("models of a pair: a thousand", good | {"models": ["text_raw/seed-0"] * 1000}, may_be_answered=True)
    for number in (0, 2, 4):
        data = [*good.values(), "more"][:number]
        yield BadRequest(
            f"a pair of {number} values", lambda page, d=data: page.post("call/score_pair", json={"data": d})
        )


def _pair(name: str, values: dict[str, Any], may_be_answered: bool = False) -> BadRequest:
    return BadRequest(name, lambda page: page.call("score_pair", **values)[0], may_be_answered)


def _values() -> Iterator[BadRequest]:
    """Values of a wrong kind or out of bounds, each in the place of one that is right."""
    wrong = {
        "num_continuations": (-1, 0, 1000, 1.5),
        "seconds": (-1, 0, 16, 1e300),
        "temperature": (-0.1, 1e9),
        "top_p": (-1, 1.5),
        "seed": (-1, 2**31, 2**70),
    }
    everywhere = (math.nan, math.inf, -math.inf, 10**400, "one", "1; DROP TABLE runs", [], [1], {}, True, SCRIPT)
    for name, values in wrong.items():
        for value in (*values, *everywhere):
            yield _changed(name, value)
    for text in _NO_TEXTS:
        yield _changed("text", text)
    for text in _ODD_TEXTS:
        yield _changed("text", text, may_be_answered=True)
    for models in _NO_MODELS:
        yield _changed("models", models)
    yield _changed("models", ["text_bpe/seed-0"] * 1000, may_be_answered=True)


def _changed(name: str, value: Any, may_be_answered: bool = False) -> BadRequest:
    return BadRequest(
        f"{name}: {value!r:.60}", lambda page: page.continue_with(**{name: value}), may_be_answered=may_be_answered
    )


def _places_of_files() -> Iterator[BadRequest]:
    """What stands in the place of an uploaded file."""
    local = ("/etc/passwd", "/proc/self/environ", "../../../etc/passwd", "setup.cfg", "", ".", "/", "~/.ssh/id_rsa")
    hosts = ("127.0.0.1", "localhost", "0.0.0.0", "[::1]", "127.1", "2130706433", "0x7f000001", "user@127.0.0.1")
    schemes = (
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "data:audio/wav;base64,UklGRg==",
        "s3://bucket/x",
        "hf://x/y",
    )
    public = ("http://169.254.169.254/latest/meta-data", "https://example.com/a.wav", "HTTP://EXAMPLE.COM/a.wav")
    for path in (*local, *schemes, *public, "\0", "x" * 5000):
        yield BadRequest(f"file at {path:.40}", functools.partial(_continue_path, path=path))
    for host in hosts:
        yield BadRequest(
            f"file at http://{host}", lambda page, h=host: _continue_path(page, f"http://{h}:{page.listener}/a.wav")
        )
    for value in ("/etc/passwd", "http://127.0.0.1/a.wav", 7, ["/etc/passwd"], {"path": None}, {"url": "http://x/"}):
        yield BadRequest(f"no file: {value!r:.40}", lambda page, v=value: page.continue_with(text="", audio=v))
    yield BadRequest("an uploaded file, and out of its folder", _continue_beside_upload)


def _continue_path(page: Attacker, path: str) -> str | None:
    return page.continue_with(text="", audio={"path": path, "url": path} | TYPE)


def _continue_beside_upload(page: Attacker) -> str | None:
    uploaded = page.upload("a.wav", sound(np.zeros(10))).json()[0]
    return _continue_path(page, f"{uploaded}/../../../../../../../../../etc/passwd")


def _paths() -> Iterator[BadRequest]:
    """Files that are not the page's to serve, and addresses that are not its to fetch."""
    files = (
        "/etc/passwd",
        "../../../../etc/passwd",
        "..%2f..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "..%252f..%252fetc%252fpasswd",
        "....//....//....//etc/passwd",
        "/etc/passwd%00.wav",
        "file:///etc/passwd",
        "//etc/passwd",
        "/proc/self/environ",
        "/proc/self/cwd/setup.cfg",
        "setup.cfg",
        "~/.bashrc",
        "/tmp",
        "C:\\Windows\\win.ini",
    )
    for path in files:
        yield BadRequest(f"GET file={path}", lambda page, p=path: page.get(f"/gradio_api/file={p}"))
    for route in ("file/", "proxy=", "custom_component/1/client/component/"):
        yield BadRequest(f"GET {route}", lambda page, r=route: page.get(f"/gradio_api/{r}/etc/passwd"))
    for route in ("/static/", "/assets/", "/svelte/"):
        yield BadRequest(f"GET {route}", lambda page, r=route: page.get(f"{r}../../../../../../etc/passwd"))
    for route in (
        "file=",
        "proxy=",
        "file=%20",
        "file/",
        "%66ile/",
        "file%2f",
        "file/%20",
        "file//",
        "x/gradio_api/file/",
    ):
        for host in ("127.0.0.1", "localhost", "2130706433"):
            yield BadRequest(
                f"GET {route}http://{host}",
                lambda page, r=route, h=host: page.get(f"/gradio_api/{r}http://{h}:{page.listener}/a.wav"),
            )
    for route in ("file=", "file/", "%66ile/", "file%2F"):
        for address in ("http://example.com/a.wav", "https://example.com/a.wav", "https%3A%2F%2Fexample.com/a.wav"):
            yield BadRequest(f"GET {route}{address}", lambda page, r=route, a=address: page.get(f"/gradio_api/{r}{a}"))


def _bodies() -> Iterator[BadRequest]:
    """What is no request of the page's."""
    session = {"session_hash": "s"}
    joins: dict[str, Any] = {
        "no event": session | {"data": []},
        "an event that is not there": session | {"data": [], "fn_index": 9999},
        "an event that is no number": session | {"data": [], "fn_index": {}},
        "an event below zero": session | {"data": [], "fn_index": -1},
        "no session": {"data": [], "fn_index": 0},
        "no data": session | {"fn_index": 0},
        "data that is no list": session | {"fn_index": 0, "data": {"a": 1}},
        "a list": [1, 2, 3],
        "megabytes": session | {"fn_index": 0, "data": ["x" * 3 * 2**20]},
        "a hundred thousand values": session | {"fn_index": 0, "data": [0] * 100_000},
    }
    for name, body in joins.items():
        yield BadRequest(f"join: {name}", lambda page, b=body: page.post("queue/join", content=json.dumps(b)))
    raw = {"no JSON": b"{", "nothing": b"", "deep": b"[" * 100_000, "binary": bytes(range(256))}
    for name, content in raw.items():
        yield BadRequest(f"join: {name}", lambda page, c=content: page.post("queue/join", content=c))
    yield BadRequest("too few values", lambda page: page.post("call/continue", json={"data": ["the dog"]}))
    by_name = {"text": "the dog", "audio": "/etc/passwd", "models": ["text_raw/seed-0"]}
    yield BadRequest("a path, by name", lambda page: page.post("call/v2/continue", json=by_name))
    yield BadRequest("an endpoint that is not there", lambda page: page.post("call/nothing", json={"data": []}))
    yield BadRequest(
        "past the queue", lambda page: page.post("run/continue", json={"data": list(page.known.values())})
    )
    yield BadRequest("an upload without a form", lambda page: page.post("upload", content=b"x"))
    yield BadRequest("an upload without an end", lambda page: page.post("upload", content=b"x", headers=_FORM))
    yield BadRequest("a recording to cut", lambda page: page.post("process_recording", files={"video": b"x"}))
    yield BadRequest("a component's function", lambda page: page.post("component_server", json=_COMPONENT))


_FORM = {"Content-Type": "multipart/form-data; boundary=b"}
_COMPONENT = {"session_hash": "s", "component_id": 1, "fn_name": "ls", "data": ["/"]}
