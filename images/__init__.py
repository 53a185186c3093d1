"""Guest images: recipes, the builder, and the shelf where built images are kept.

This package is meant to be called: `ensure` gives an image, building it where there is none. Its parts are imported
when they are first asked for, because a command's help has to come at once.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qemunet_tests.images.image_archive import export, import_, sources
    from qemunet_tests.images.image_cache import require
    from qemunet_tests.images.progress import Progress
    from qemunet_tests.images.recipes import Recipe, recipe, recipe_names
    from qemunet_tests.images.store import StoredImage, available, build, ensure, listing, profile, remove

#: The image that is built and booted where nobody names another.
DEFAULT = "tiny"

_PARTS = {
    "image_archive": ("export", "import_", "sources"),
    "image_cache": ("require",),
    "progress": ("Progress",),
    "recipes": ("Recipe", "recipe", "recipe_names"),
    "store": ("StoredImage", "available", "build", "ensure", "listing", "profile", "remove"),
}

__all__ = [
    "DEFAULT",
    "Progress",
    "Recipe",
    "StoredImage",
    "available",
    "build",
    "ensure",
    "export",
    "import_",
    "listing",
    "profile",
    "recipe",
    "recipe_names",
    "remove",
    "require",
    "sources",
]


def __getattr__(name: str) -> Any:
    for part, names in _PARTS.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{part}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
