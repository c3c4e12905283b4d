"""The exceptions that cross rooms, by kind; the command line gives each its exit status."""


class InputError(ValueError):
    """Says what is wrong with an input: the file, the field, the value and the rule.

    The command line prints its text as it is and exits with status 2.
    """


class SearchFailed(Exception):
    """A search cannot go on, whatever its input: its workers die, its candidates all fail alike.

    Exit status 3. Everything finished is kept.
    """


class StorageGone(Exception):
    """The study's database or proxy does not answer any more. Exit status 4."""


class WorkerFault(Exception):
    """A fault of the program in a worker process, in the worker's own words. Exit status 1."""


class TimeUp(Exception):
    """Ends a search whose time is used up; the training in flight is gone on with later."""


class GivenAway(Exception):
    """This worker was held to be dead, and its trial was given to another one."""
