"""The panel of the Slicer module: what stands between Slicer and the library's contract on disk."""
