"""What all documents that scripts read have in common."""

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    """One JSON document or a part of it."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, json_schema_serialization_defaults_required=True)

    def as_json(self) -> str:
        """Indented, keys in the order of the interface, with a final newline."""
        return self.model_dump_json(by_alias=True, indent=2) + "\n"


class Accelerator(Shape):
    """What guests ran on, and why."""

    model_config = ConfigDict(extra="allow")

    used: str | None = None
    reason: str | None = None


class BootedImage(Shape):
    """What the guests boot."""

    name: str
    digest: str
