"""Every error of the project; the tree is this page.

GpustackError                 exit 1
├── UsageError                exit 2   options that do not fit together
├── InputError                exit 3   unreadable or unfit input
│   ├── DecodeError                    one file: not a picture, damaged, or of a kind not handled
│   ├── StackError                     files that do not belong together, or too few
│   └── CheckpointError                what an interrupted run left does not go with what is asked now
├── AlignError                exit 3   a frame that cannot be aligned, or is shaken
├── PlanError                 exit 5   does not fit the memory budget
├── BackendError              exit 5   the device is missing, lost, or out of memory
│   └── DeviceFullError                a device's memory does not hold what a plan needs
├── ClusterError              exit 5   no scheduler answers, or no worker is fit for the work
└── WriteError                exit 1   the result cannot be written

Every message is one sentence that says what is wrong, followed by the remedy.
"""

from __future__ import annotations


class GpustackError(Exception):
    """Base of all errors; `exit_code` is what the command line ends with, `remedy` what to do about it."""

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class UsageError(GpustackError):
    """Options or arguments that do not fit together."""

    exit_code = 2


class InputError(GpustackError):
    """Input that cannot be read or does not fit."""

    exit_code = 3


class DecodeError(InputError):
    """One file that is not a picture, is damaged, or is of a kind that is not handled."""

    def __init__(self, name: str, problem: str, remedy: str = "") -> None:
        super().__init__(f"{name}: {problem}", remedy)
        self.name = name
        self.problem = problem


class StackError(InputError):
    """Frames that do not belong together, or too few of them."""


class CheckpointError(InputError):
    """What an interrupted run left cannot be continued with what is asked now."""


class AlignError(GpustackError):
    """A frame that cannot be aligned, or is blurred by shake."""

    exit_code = 3


class PlanError(GpustackError):
    """The work does not fit the memory budget, however it is cut."""

    exit_code = 5


class BackendError(GpustackError):
    """The device is missing, was lost, or ran out of memory."""

    exit_code = 5


class DeviceFullError(BackendError):
    """A device's memory is full: `needed` bytes in all would be held where `limit` are allowed or free."""

    def __init__(self, needed: int, limit: int) -> None:
        super().__init__(
            f"The device's memory is full: {needed >> 20} MiB are needed, {limit >> 20} MiB are there.",
            "Allow more with --vram, close programs that use the GPU, or take --backend cpu.",
        )
        self.needed = needed
        self.limit = limit


class ClusterError(GpustackError):
    """A cluster that does not answer, or has no worker fit for the work."""

    exit_code = 5


class WriteError(GpustackError):
    """A result that cannot be written."""
