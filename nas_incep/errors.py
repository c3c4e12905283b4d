"""The exceptions shared by the subpackages; the command line maps each to an exit status."""


class InputError(ValueError):
    """An invalid input; its message names the file, the field, the value and the rule.

    The command line prints the message unchanged and exits with status 2.
    """


class SearchFailed(Exception):
    """A search cannot continue: its workers die, or its candidates all fail with the same error.

    Exit status 3. Everything finished is kept.
    """


class ProcessSpent(SearchFailed):
    """Ends a process that cannot go on where a new one can: a framework may be damaged."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}: the same command goes on in a new process")
        self.reason = reason


class DeviceLost(ProcessSpent):
    """A GPU fell over, and this process can no longer use it."""


class StorageGone(Exception):
    """The study's database or proxy no longer answers. Exit status 4."""


class WorkerFault(Exception):
    """An error in the program in a worker process, with the worker's message. Exit status 1."""


class TimeUp(Exception):
    """Ends a search whose time is up; the interrupted training is resumed by the next call."""


class GivenAway(Exception):
    """This worker was considered dead, and its trial was given to another one."""
