"""The one exception that stands for a mistake of the user or of the user's files."""


class InputError(ValueError):
    """Says what is wrong with an input: the file, the field, the value and the rule.

    The command line prints its text as it is and exits with status 2.
    """
