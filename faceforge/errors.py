"""The one exception that means "the user can mend this"."""


class FaceForgeError(Exception):
    """A problem with the input, the configuration or the surroundings, told in one line.

    The message says what was wrong, where, and what to do. Command line and pipeline steps print it
    without a traceback and exit with `EXIT_CODE`; anything else that is raised is a bug.
    """


EXIT_CODE = 2
