"""Whether the token of this machine may write to a namespace, asked before anything is pushed.

namespace -> the Hub's own answer to "who am I" -> nothing, or one sentence with the way out.
"""

from huggingface_hub import HfApi
from huggingface_hub.errors import LocalTokenNotFoundError

from .requests import ask

WRITERS = ("admin", "write", "contributor")
"""Roles in an organisation that may make repositories."""


def check_access(api: HfApi, namespace: str) -> None:
    """
    Check that the token that the Hub's client finds may write to a namespace.

    Args:
        api ([`~huggingface_hub.HfApi`]): The Hub.
        namespace (`str`): A user or an organisation.

    Raises:
        `FileNotFoundError`: If there is no such namespace.
        `ValueError`: If there is no token, or it may not write there.
        [`PushFailed`]: If the Hub cannot be asked.
    """
    try:
        account = ask("Asking the Hub whose the token is", api.whoami)
    except LocalTokenNotFoundError:
        raise ValueError(
            "There is no token of the Hub on this machine: run `hf auth login` with one that may write, or set "
            "HF_TOKEN; --dry_run needs none."
        ) from None
    user, roles = account["name"], {each["name"]: each.get("roleInOrg") for each in account.get("orgs") or []}
    if ((account.get("auth") or {}).get("accessToken") or {}).get("role") == "read":
        raise ValueError(f"The token of {user} may only read: run `hf auth login` with one that may write.")
    if namespace == user or (namespace in roles and roles[namespace] in (None, *WRITERS)):
        return
    if namespace in roles:
        raise ValueError(
            f"{user} may only {roles[namespace]} in {namespace}; ask its owner, or give another --namespace."
        )
    own = " or ".join([user, *(name for name, role in roles.items() if role in (None, *WRITERS))])
    if _exists(api, namespace):
        raise ValueError(f"{namespace} is somebody else's on the Hub, and {user} may not write there; give {own}.")
    raise FileNotFoundError(f"There is no user or organisation {namespace} on the Hub; give {own} as --namespace.")


def _exists(api: HfApi, namespace: str) -> bool:
    for look_up in (api.get_user_overview, api.get_organization_overview):
        try:
            ask(f"Looking for {namespace}", look_up, namespace)
            return True
        except FileNotFoundError:
            continue
    return False
