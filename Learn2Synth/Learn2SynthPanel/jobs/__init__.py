"""Processes that run the library: started, looked at without waiting, ended as a whole."""
