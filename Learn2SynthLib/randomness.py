"""Randomness as a function: the same (seed, purpose, index) gives the same numbers, in any order, before and after a resume."""

from __future__ import annotations

import hashlib
import random


def stream_seed(seed: int, purpose: str, index: int = 0) -> int:
    """A 63-bit number that depends on all three and on nothing else."""
    digest = hashlib.blake2b(f"{seed}/{purpose}/{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def stream(seed: int, purpose: str, index: int = 0) -> random.Random:
    """A generator of scalars of its own for this purpose and index."""
    return random.Random(stream_seed(seed, purpose, index))
