"""What was asked for on the command line cannot be done."""


class Unusable(Exception):
    """The message is for whoever asked."""
