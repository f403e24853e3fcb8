import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys, torch
from Learn2SynthLib.computer import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
faults = []
for _ in range(10):
    torch.ones(2**24)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
print(faults[-1] - faults[4])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other systems' allocators are left as they are")
def test_freed_memory_is_used_again_and_not_cleared_by_the_system() -> None:
    kept, given_back = (int(subprocess.run([sys.executable, "-c", FAULTS, word], capture_output=True, text=True, check=True).stdout) for word in ("keep", "-"))
    assert kept * 10 < given_back
