"""How work is done: processes, device, and whether what is there may be redone. None of it changes a result."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Execution:
    """
    What every stage is told beside what makes its result.

    Args:
        num_proc (`int`, *optional*, defaults to 1): Worker processes.
        device (`str`, *optional*, defaults to `"cpu"`): `"cpu"` or `"cuda"`, for encoders and language models.
        overwrite (`bool`, *optional*, defaults to `False`): Redo a finished stage of another configuration.
    """

    num_proc: int = 1
    device: str = "cpu"
    overwrite: bool = False

    @property
    def device_workers(self) -> int:
        """Processes that use the device: one, where they would share a GPU."""
        return 1 if self.device == "cuda" else self.num_proc
