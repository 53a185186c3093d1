"""Guest images: recipes, the builder, and the shelf where built images are kept.

This package is meant to be called: `ensure` gives an image, building it where there is none.
"""

from qemunet_tests.images.image_archive import export, import_
from qemunet_tests.images.progress import Progress
from qemunet_tests.images.recipes import Recipe, recipe, recipe_names
from qemunet_tests.images.store import StoredImage, available, build, ensure, listing, remove

__all__ = [
    "Progress",
    "Recipe",
    "StoredImage",
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
