"""`evoslm release RUN --namespace NAME`: a finished run as repositories of the Hub.

run -> [`prepare_release`] -> folders that can be looked at -> unless it is a dry run, [`push_release`].
"""

from dataclasses import dataclass
from pathlib import Path

from transformers.utils.logging import disable_progress_bar

from .choice import ReleaseChoice
from .names import ReleaseNames, check_namespace
from .preparation import describe, prepare_release
from .repository import ReleaseRepository

_NO_ADAPTERS = "none"


@dataclass
class ReleaseArguments:
    """
    A finished run, and where it goes.

    Args:
        run_dir (`str`): The folder of a finished run.
        namespace (`str`): A user or an organisation on the Hub, whom all repositories belong to.
        dry_run (`bool`, *optional*, defaults to `False`): Write the folders and list them, and push nothing. Needs
            neither a network nor a token.
        private (`bool`, *optional*, defaults to `False`): Whether new repositories are for their owner alone.
        force (`bool`, *optional*, defaults to `False`): Write over what somebody else put into repositories of these
            names.
        output_dir (`str`, *optional*): Where the folders go; `<run_dir>/release` when not given.
        name (`str`, *optional*): What stands for the run in the names of repositories; its preset when not given.
        modalities (`list[str]`, *optional*): Whose models are released; all of the run when not given.
        joint_dir (`str`, *optional*): The folder of joint models; `<run_dir>/joint`, where there is one, when not
            given.
        adapters (`list[str]`, *optional*): Folders that `evoslm finetune` made, or `none`; those of the joint models
            when not given.
        vocoder (`str`, *optional*): A folder that `evoslm train-vocoder` made; `<run_dir>/vocoder`, or else a vocoder
            that is read off the quantizer's codebook, when not given.
        license (`str`, *optional*): The Hub's id of the licence of models and datasets; when not given, `apache-2.0`
            for stories that were generated, and `unknown` for anybody else's text or recordings.
        evaluation_framework (`str`, *optional*): A name on the Hub's list of evaluation frameworks: the minimal pairs
            get an `eval.yaml` with it, so that the Hub can take them as a benchmark. Left out when not given.
    """

    run_dir: str
    namespace: str
    dry_run: bool = False
    private: bool = False
    force: bool = False
    output_dir: str | None = None
    name: str | None = None
    modalities: list[str] | None = None
    joint_dir: str | None = None
    adapters: list[str] | None = None
    vocoder: str | None = None
    license: str | None = None
    evaluation_framework: str | None = None


def release(arguments: ReleaseArguments) -> Path:
    """
    Prepare a release, and push it unless it is a dry run.

    Args:
        arguments ([`ReleaseArguments`]): Of the command.

    Returns:
        `Path`: The folder of the prepared repositories.

    Raises:
        `FileNotFoundError`: As [`prepare_release`], or if there is no such namespace.
        `ValueError`: As [`prepare_release`], or if the namespace may not be written to, or a name is taken.
    """
    check_namespace(arguments.namespace)
    choice = ReleaseChoice(
        arguments.modalities,
        arguments.joint_dir,
        [] if arguments.adapters == [_NO_ADAPTERS] else arguments.adapters,
        arguments.vocoder,
        arguments.license,
        arguments.evaluation_framework,
    )
    if not arguments.dry_run:
        _ask_before(arguments, choice)
    disable_progress_bar()  # of files that are on this disk
    folder = Path(arguments.output_dir or Path(arguments.run_dir) / "release")
    print(f"evoslm: preparing {arguments.run_dir} for {arguments.namespace}", flush=True)
    repositories = prepare_release(
        arguments.run_dir,
        arguments.namespace,
        folder,
        arguments.name,
        choice,
    )
    print(list_repositories(repositories))
    if arguments.dry_run:
        print(f"Nothing was pushed; the folders are in {folder}.", flush=True)
        return folder
    from .push import push_release

    title = f"EvoSLM {arguments.name or Path(arguments.run_dir).name}"
    push_release(repositories, arguments.namespace, arguments.private, arguments.force, title)
    return folder


def _ask_before(arguments: ReleaseArguments, choice: ReleaseChoice) -> None:
    """What the Hub can say before anything is prepared: may this token write there, and are the names free?"""
    from huggingface_hub import HfApi

    from .hub.access import check_access
    from .hub.requests import ask
    from .hub.taken import find_taken, refuse_taken
    from .plan import plan_repositories

    api = HfApi()
    check_access(api, arguments.namespace)
    names = ReleaseNames.of(arguments.run_dir, arguments.namespace, arguments.name)
    planned = plan_repositories(arguments.run_dir, names, choice)
    found = [ask(f"Looking for {name}", find_taken, api, kind, name) for kind, name in planned]
    refuse_taken([taken for taken in found if taken], arguments.private, arguments.force)


def list_repositories(repositories: list[ReleaseRepository]) -> str:
    """One line a repository: what it is, its branches, files and size."""
    lines, total = [], 0
    for described in map(describe, repositories):
        branches = len(described["branches"])
        size = f"{described['bytes'] / 1e6:,.1f} MB in {described['files']} files"
        of = f" on {branches} branches" if branches > 1 else ""
        lines.append(f"{described['kind']:8} {described['name']:52} {size}{of}")
        total += described["bytes"]
    return "\n".join([*lines, f"{len(lines)} repositories, {total / 1e6:,.1f} MB."])
