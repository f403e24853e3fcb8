"""The words that a user reads, in the user's language where Slicer has it."""

try:
    from slicer.i18n import tr
except ImportError:  # without the application, as in tests of what needs no Slicer

    def tr(text: str) -> str:
        return text


__all__ = ["tr"]
