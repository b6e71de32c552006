"""What the server refuses before gradio sees it: addresses, bodies that are too large, and values of a wrong kind.

A request -> [`RequestGuard`] -> the gradio app, or a refusal of one sentence in the form that the page and
`gradio_client` both show. Gradio by itself would fetch a public address that stands in the place of a file, or behind
`/gradio_api/file=` and its old name `/gradio_api/file/`; it takes bodies of any size, and says of a value of a wrong
kind only that there was an error.
"""

import inspect
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio
from gradio.data_classes import FileData
from gradio.utils import get_upload_folder, is_in_or_equal, is_static_file
from starlette.formparsers import MultiPartException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse

MAX_BODY_BYTES = 2**18
"""Of a request that is no upload. The page's own stay below a hundredth of it."""
FORM_BYTES = 2**16
"""What the form around an uploaded file may add to it."""
_LONGEST_PATH = 1000
_OLD_FILE_ROUTE = "/gradio_api/file/"
"""What nothing of the page's asks for."""
_RUNNING = ("/queue", "/call", "/call/v2", "/run", "/api")
"""Where the requests go that run an event: `/queue/join`, or an endpoint's name behind one of the others."""
FETCHES_NOTHING = "this server fetches no addresses; upload the file instead"


def guard_requests(blocks: gradio.Blocks) -> dict[str, list[Middleware]]:
    """The `app_kwargs` with which `blocks.launch`, which also needs its `max_file_size`, puts a guard before the app.

    Args:
        blocks (`gradio.Blocks`): The page.
    """
    return {"middleware": [Middleware(RequestGuard, blocks=blocks)]}


class Refusal(Exception):
    """A request that is not passed on.

    Args:
        message (`str`): One sentence, without its capital and full stop where `parameter` stands before it.
        status (`int`): The status of the response.
        parameter (`str`, *optional*): The label of the input whose value is refused.
    """

    def __init__(self, message: str, status: int, parameter: str | None = None):
        super().__init__(message)
        self.message, self.status, self.parameter = message, status, parameter

    def response(self) -> JSONResponse:
        """The sentence alone or, of an input, in gradio's form for values that are not valid."""
        if self.parameter is None:
            return JSONResponse({"detail": self.message}, self.status)
        problem = {"__type__": "validate", "is_valid": False, "parameter_name": self.parameter}
        return JSONResponse({"detail": [problem | {"message": self.message}]}, self.status)


class RequestGuard:
    """An ASGI middleware that passes on what the page and its API can ask for, and refuses the rest.

    Args:
        app: The application behind it.
        blocks (`gradio.Blocks`): The page, whose events say what each value should be, and how large a file may be.
    """

    def __init__(self, app, blocks: gradio.Blocks):
        self.app, self.blocks = app, blocks

    async def __call__(self, scope, receive, send):
        """Answer one request, or let the application do it."""
        if scope["type"] == "http":
            try:
                receive = await self._checked(scope, receive)
            except Refusal as refusal:
                return await refusal.response()(scope, receive, send)
        await self.app(scope, receive, send)

    async def _checked(self, scope, receive):
        """What the application receives the body from."""
        path = scope["path"]
        if asks_for_address(path):
            raise Refusal(f"Not loaded: {FETCHES_NOTHING}.", 403)
        if scope["method"] != "POST":
            return receive
        length = next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)
        if path.rstrip("/").endswith("/upload"):
            limit = self.blocks.max_file_size + FORM_BYTES
            if length > limit:
                raise Refusal(f"The file is too large: at most {limit // 2**20} MB are taken.", 413)
            return _limited(receive, limit)
        body = await _read(receive, length)
        self._check_body(path, body)
        return _replayed(body, receive)

    def _check_body(self, path: str, body: bytes) -> None:
        try:
            content = json.loads(body) if body else None
        except (ValueError, RecursionError):
            raise Refusal("The body of the request is not JSON.", 400) from None
        route, _, name = path.rstrip("/").rpartition("/")
        if route.endswith(_RUNNING):
            event = self._event(name, content)
            check_inputs(event, _values_of(event, content, are_named=route.endswith("/v2")))
        for file in files_in(content):
            check_file(file, "file")

    def _event(self, name: str, content: Any):
        """The event that a request runs."""
        if not isinstance(content, dict):
            raise Refusal("The request is not a JSON object.", 400)
        session, index = content.get("session_hash"), content.get("fn_index")
        if index is None and name != "join":
            found = (event for event in self.blocks.fns.values() if event.api_name == name)
            if (event := next(found, None)) is None:
                raise Refusal(f"This page has no endpoint {name!r:.40}.", 404)
            return event
        # The number counts more than the name, as for gradio: what needs no queue is asked for as `/run/predict`.
        if not isinstance(session, str) or not isinstance(index, int) or index not in self.blocks.fns:
            raise Refusal(f"This page has no event {index!r:.40} of session {session!r:.40}.", 400)
        return self.blocks.fns[index]


def _values_of(event, content: dict, are_named: bool) -> list:
    """The values of a request: a list, or by name in the second version of the API."""
    if are_named:
        return [content.get(name) for name in parameter_names(event)]
    if not isinstance(content.get("data"), list):
        raise Refusal("The request has no list of `data`.", 400)
    return content["data"]


def parameter_names(event) -> list[str]:
    """What the values of an event are called: as in its function, or by the labels of its inputs."""
    parameters = inspect.signature(event.fn).parameters.values()
    names = [parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    if len(names) == len(event.inputs):
        return names
    return [getattr(component, "label", None) or component.get_block_name() for component in event.inputs]


def check_inputs(event, data: list) -> None:
    """Refuse values that are not of the kind of their inputs.

    Args:
        event (`gradio.blocks.BlockFunction`): What is to be run.
        data (`list`): A value for each of its inputs, or for each that the API shows.

    Raises:
        Refusal: Values are missing, or one is of a wrong kind; the name of its input stands before the sentence.
    """
    if event.cancels:
        return
    inputs = list(zip(parameter_names(event), event.inputs))
    if len(data) != len(inputs):
        inputs = [(name, component) for name, component in inputs if not component.skip_api]
    if len(data) != len(inputs):
        raise Refusal(f"takes {len(inputs)} values and got {len(data)}", 422, event.api_name or "event")
    for (name, component), value in zip(inputs, data):
        if value is not None:
            check_value(component, value, name)


def check_value(component: gradio.components.Component, value: Any, name: str) -> None:
    """Refuse a value that a component cannot have."""
    wanted = None
    if getattr(component, "data_model", None) is FileData:
        if isinstance(value, dict) and isinstance(value.get("path"), str):
            return check_file(value, name)
        wanted = "upload a file"
    elif isinstance(component, gradio.Slider | gradio.Number):
        wanted = _wanted_number(component, value)
    elif isinstance(component, gradio.Dropdown | gradio.CheckboxGroup | gradio.Radio):
        wanted = _wanted_choice(component, value)
    elif isinstance(component, gradio.Textbox) and not isinstance(value, str):
        wanted = "give a text"
    elif isinstance(component, gradio.Checkbox) and not isinstance(value, bool):
        wanted = "give true or false"
    if wanted is not None:
        raise Refusal(f"got {value!r:.80}; {wanted}", 422, name)


def _wanted_number(component: gradio.Slider | gradio.Number, value: Any) -> str | None:
    low, high = (-math.inf if component.minimum is None else component.minimum), component.maximum
    high = math.inf if high is None else high
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and low <= value <= high and _is_finite(value):
        return None
    return f"give a number from {low:.10g} to {high:.10g}" if math.isfinite(high - low) else "give a finite number"


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all that is computed with
        return False


def _wanted_choice(component: gradio.Dropdown | gradio.CheckboxGroup | gradio.Radio, value: Any) -> str | None:
    choices = [choice for _, choice in component.choices]
    if all(part in choices for part in (value if isinstance(value, list) else [value])):
        return None
    return f"choose from {', '.join(map(str, choices))}"


def check_file(file: dict, name: str) -> None:
    """Refuse a file that is an address, that was not uploaded, or that is no longer there."""
    path = file["path"]
    if is_address(path):
        raise Refusal(f"got {path!r:.80}; {FETCHES_NOTHING}", 422, name)
    is_possible = "\0" not in path and len(path) <= _LONGEST_PATH
    if not is_possible or not (is_in_or_equal(path, get_upload_folder()) or is_static_file(path)):
        raise Refusal(f"got {path!r:.80}, which was not uploaded to this server; upload the file first", 422, name)
    if not Path(path).is_file():
        raise Refusal("the uploaded file is no longer here; upload it again", 422, name)


def files_in(content: Any) -> Iterator[dict]:
    """All file objects in a JSON value, however deep."""
    stack = [content]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            if isinstance(value.get("path"), str) and not value.get("is_stream"):
                yield value
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)


def asks_for_address(path: str) -> bool:
    """Whether a path, with its percent signs decoded, asks for a file at an address, or in a way that could be one."""
    return _OLD_FILE_ROUTE in path or any(is_address(rest) for rest in path.split("/file=")[1:])


def is_address(text: str) -> bool:
    """Whether a text starts like `http://`, `file:/` or any other scheme of more than one letter."""
    return re.match(r"\s*[A-Za-z][A-Za-z0-9+.-]+:", text) is not None


async def _read(receive, length: int) -> bytes:
    """A whole body of at most [`MAX_BODY_BYTES`]."""
    body, more = b"", True
    while more:
        if max(len(body), length) > MAX_BODY_BYTES:
            raise Refusal(f"The request is too large: at most {MAX_BODY_BYTES // 1024} KB.", 413)
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _replayed(body: bytes, receive):
    """A body that was read, and then whatever else comes."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay():
        return messages.pop() if messages else await receive()

    return replay


def _limited(receive, limit: int):
    """A body that ends with the parser's own error, which removes what was written, where it is too large."""
    received = 0

    async def limited():
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise MultiPartException(f"The upload exceeds the maximum allowed size of {limit} bytes.")
        return message

    return limited
