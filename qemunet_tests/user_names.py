"""Users by name."""

import pwd


def user_name(uid: int) -> str:
    """The user's name, or `user N` where the system knows no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
