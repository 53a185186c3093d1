"""Guest images: recipes, the builder, and the shelf where built images are kept.

This package is meant to be called: `ensure` gives an image, building it where there is none.
"""

from qemunet_tests.images.progress import Progress
from qemunet_tests.images.recipes import Recipe, recipe, recipe_names
from qemunet_tests.images.store import Entry, available, build, ensure, listing, remove
from qemunet_tests.images.transfer import export, import_

__all__ = [
    "Entry",
    "Progress",
    "Recipe",
    "available",
    "build",
    "ensure",
    "export",
    "import_",
    "listing",
    "recipe",
    "recipe_names",
    "remove",
]
