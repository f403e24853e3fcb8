"""The sections of Docs/results.md, a file each, made from the committed results by pages.py."""
