"""The commands of `qemunet`, one module each.

A command's module offers `add_parser(subparsers)`, which only describes the command and imports nothing
that is heavy, and `execute(arguments) -> int`, which does the work and answers with the exit code. Mistakes
of the user raise errors.UsageError; what cannot be done here raises Unavailable or HarnessError.
"""

#: In the order in which --help lists them.
COMMANDS = ("run", "doctor", "claims", "modes", "report", "record", "compare", "shell", "image", "completion")
