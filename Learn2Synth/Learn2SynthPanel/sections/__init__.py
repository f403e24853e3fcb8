"""The sections of the panel: each connects its widgets with classes that know no Qt."""
