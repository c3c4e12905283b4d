"""The exceptions that cross rooms: a mistake of the user's, and two ways to stop early."""


class InputError(ValueError):
    """Says what is wrong with an input: the file, the field, the value and the rule.

    The command line prints its text as it is and exits with status 2.
    """


class StopTrial(Exception):
    """Ends one training early: pruned, or out of time. Raised by what watches it."""

    def __init__(self, state: str, reason: str) -> None:
        super().__init__(reason)
        self.state, self.reason = state, reason


class TimeUp(Exception):
    """Ends a search whose time is used up; the training in flight is gone on with later."""
