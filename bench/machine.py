"""What the figures were measured on, without naming the machine."""

import os
import platform
import re
import subprocess
from pathlib import Path


def description(server: Path) -> str:
    """Processor, memory, kernel, Python and server, as one line."""
    parts = (
        f"{os.cpu_count()} × {_processor()}",
        f"{_memory_gb():.0f} GB",
        f"Linux {'.'.join(platform.release().split('.')[:2])}",
        f"Python {platform.python_version()}",
        server_version(server),
    )
    return ", ".join(parts)


def server_version(binary: Path) -> str:
    """`Valkey 9.1.2` or `Redis 7.0.15`."""
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    number = re.search(r"v=(\S+)", said)
    return f"{'Valkey' if 'alkey' in said else 'Redis'} {number[1] if number else said.strip()}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
