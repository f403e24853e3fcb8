"""The scene bridge: nodes <-> files and label tables. Without Qt; it takes the scene from its arguments and keeps none."""

from .export import write_volume
from .labels import label_names, segment_names, values_for, write_labels
from .results import add_segmentation, unique_name, write_volumes_table
from .sequences import add_segmentation_sequence, write_sequence

__all__ = [
    "add_segmentation",
    "add_segmentation_sequence",
    "label_names",
    "segment_names",
    "unique_name",
    "values_for",
    "write_labels",
    "write_sequence",
    "write_volume",
    "write_volumes_table",
]
