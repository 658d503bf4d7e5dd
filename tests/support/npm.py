"""Packages of npm that tests need, pinned by a lock file beside them and kept under ``.cache``."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]


def installed(here: Path) -> Path | str:
    """The directory in which the packages of ``here``'s lock file are installed; else why there is
    none."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "Node and npm are not installed"
    key = hashlib.sha256((here / "package-lock.json").read_bytes()).hexdigest()[:16]
    place = ROOT / ".cache" / f"node-{key}"
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(here / name, place)
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            try:
                subprocess.run(command, cwd=place, check=True, capture_output=True, timeout=100)
            except (subprocess.SubprocessError, OSError) as error:
                return f"npm could not install the packages of {here.name}: {error}"
            (place / "complete").touch()
    return place
