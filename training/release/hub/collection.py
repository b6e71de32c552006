"""The collection that ties the repositories of a release: made once, and brought up to date by each push.

namespace + title + repositories -> [`update_collection`] -> a collection of all of them, with a note on each.
"""

from collections.abc import Sequence

from huggingface_hub import Collection, HfApi

from ..repository import ReleaseRepository

DESCRIPTION = "The same utterances in ever more speech-like alphabets: models, datasets, metrics and a demo."
_LONGEST_TITLE = 59
_LONGEST_NOTE = 500


def update_collection(
    api: HfApi, namespace: str, title: str, repositories: Sequence[ReleaseRepository], private: bool = False
) -> Collection:
    """
    Make a collection of all repositories, or add to the one of that title what it lacks. What others put into it
    stays.

    Args:
        api ([`~huggingface_hub.HfApi`]): The Hub.
        namespace (`str`): Its owner.
        title (`str`): Its title, of which the Hub takes 59 characters.
        repositories (`Sequence[ReleaseRepository]`): What belongs into it, in order.
        private (`bool`, *optional*, defaults to `False`): Whether a new one is for its owner alone.

    Raises:
        `OSError`: If the Hub does not answer as it should.
    """
    title = title[:_LONGEST_TITLE]
    found = [each for each in api.list_collections(owner=namespace) if each.title == title]
    if found:
        collection = api.get_collection(found[0].slug)
    else:
        options = {"namespace": namespace, "description": DESCRIPTION, "private": private, "exists_ok": True}
        collection = api.create_collection(title, **options)
    items = {(item.item_type, item.item_id): item for item in collection.items}
    for repository in repositories:
        note = (repository.note or repository.title)[:_LONGEST_NOTE]
        item = items.get((repository.kind, repository.name))
        if item is None:
            api.add_collection_item(
                collection.slug, repository.name, repository.kind, note=note or None, exists_ok=True
            )
        elif note and item.note != note:
            api.update_collection_item(collection.slug, item.item_object_id, note=note)
    return collection
