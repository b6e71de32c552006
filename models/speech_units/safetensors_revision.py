"""Which revision of a repository on the Hub has an encoder's weights in safetensors: pickled weights are never read.

id and revision asked for -> that revision, if it has safetensors -> else the pull request in which the Hub's own
converter offers the same weights in safetensors -> else one sentence. `facebook/hubert-base-ls960` is of that kind.
"""

from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import HfApi, constants, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import httpx
from transformers.utils.hub import has_file

SAFETENSORS = ("model.safetensors", "model.safetensors.index.json")
CONVERTER = "SFconvertbot"
"""Who opens the Hub's own conversions. Anybody can open a pull request under the same title."""

_UNREACHABLE = (OSError, httpx.HTTPError)


def find_safetensors_revision(model_id: str, revision: str | None = None) -> str | None:
    """
    The revision from which an encoder can be read without any pickle.

    Args:
        model_id (`str`): An id on the Hub.
        revision (`str`, *optional*): Commit, branch or tag that is asked for; the main branch when not given.

    Returns:
        `str`, *optional*: `revision` as it is, if it has weights in safetensors or if the Hub cannot be reached to
        find out; else the reference of the converter's pull request, such as `"refs/pr/2"`.

    Raises:
        `ValueError`: If there are no weights in safetensors, neither there nor in such a pull request.
    """
    if _has_safetensors(model_id, revision):
        return revision
    try:
        conversion = next(_find_conversions(model_id, revision), None)
        offered = "" if conversion else _describe_offers(model_id)
    except _UNREACHABLE:
        # What was read before is read again; what was not ends when its weights are asked for.
        return next(_find_read_conversions(model_id), revision)
    if conversion is None:
        raise ValueError(
            f"{model_id} has no weights in safetensors{f' at {revision}' if revision else ''}, and no others are "
            f"read; give {offered}another encoder, such as facebook/wav2vec2-base-960h, or a folder with this one's "
            "weights in safetensors."
        )
    return conversion


def _find_conversions(model_id: str, revision: str | None) -> Iterator[str]:
    """References of the converter's open pull requests on the weights of a revision, the newest first."""
    api = HfApi()
    try:
        pulls = list(api.get_repo_discussions(model_id, author=CONVERTER, discussion_type="pull_request"))
    except HfHubHTTPError as error:
        if error.response.status_code in (403, 404):  # a repository without discussions
            return
        raise
    numbers = [pull.num for pull in pulls if pull.author == CONVERTER and pull.status == "open"]
    pickled = _pickled_weights(api, model_id, revision)
    for reference in (f"refs/pr/{number}" for number in sorted(numbers, reverse=True)):
        if _has_safetensors(model_id, reference) and _pickled_weights(api, model_id, reference) == pickled:
            yield reference


def _describe_offers(model_id: str) -> str:
    """The newest pull request of anybody with weights in safetensors, which only a reader can trust."""
    for pull in reversed(HfApi().list_repo_refs(model_id, include_pull_requests=True).pull_requests or []):
        if _has_safetensors(model_id, pull.ref):
            return f"the revision {pull.ref}, if you trust the pull request that it is, "
    return ""


def _has_safetensors(model_id: str, revision: str | None) -> bool:
    return any(has_file(model_id, name, revision=revision) for name in SAFETENSORS)


def _pickled_weights(api: HfApi, model_id: str, revision: str | None) -> dict[str, str]:
    """Digests of the pickled weights of a revision, by which a conversion of others is told apart."""
    return {
        file.path: file.blob_id
        for file in api.list_repo_tree(model_id, revision=revision)
        if isinstance(file, RepoFile) and file.path.startswith("pytorch_model") and file.path.endswith(".bin")
    }


def _find_read_conversions(model_id: str) -> Iterator[str]:
    """References of pull requests whose weights lie in the cache, the newest first."""
    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=model_id, repo_type="model") / "refs"
    numbers = [int(path.name) for path in (folder / "refs" / "pr").glob("*") if path.name.isdecimal()]
    for reference in (f"refs/pr/{number}" for number in sorted(numbers, reverse=True)):
        cached = (try_to_load_from_cache(model_id, name, revision=reference) for name in SAFETENSORS)
        if any(isinstance(path, str) for path in cached):
            yield reference
