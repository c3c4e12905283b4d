"""The exceptions that cross rooms: a mistake of the user's, and the ways to stop early."""


class InputError(ValueError):
    """Says what is wrong with an input: the file, the field, the value and the rule.

    The command line prints its text as it is and exits with status 2.
    """


class StopTrial(Exception):
    """Ends one training early: pruned, or out of time. Raised by what watches it."""

    def __init__(self, state: str, reason: str) -> None:
        super().__init__(reason)
        self.state, self.reason = state, reason


class LeaveTrial(Exception):
    """Leaves a training without an outcome."""


class TimeUp(LeaveTrial):
    """Ends a search whose time is used up; the training in flight is gone on with later."""


class GivenAway(LeaveTrial):
    """This worker was held to be dead, and its trial was given to another one."""


class WorkerFault(Exception):
    """A fault of the program in a worker process, in the worker's own words."""
