"""Hatch's build hook: the documentation goes into the wheel, for the dashboard to explain itself with,
and the native decoder when it can be built.

Without a compiler the wheel is pure Python and the decoder in Python serves; ``STRAYLINE_NATIVE=1``
makes that an error, ``STRAYLINE_NATIVE=0`` leaves it out on purpose.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parent / "scripts"))

import native

DOCS = native.ROOT / "docs"


class Extras(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name == "wheel" and version == "standard":
            for page in DOCS.rglob("*.md"):
                place = f"strayline_dashboard/docs/{page.relative_to(DOCS)}"
                build_data["force_include"][str(page)] = place
        self._decoder(build_data)

    def _decoder(self, build_data: dict[str, Any]) -> None:
        wanted = os.environ.get("STRAYLINE_NATIVE", "")
        if self.target_name != "wheel" or wanted == "0":
            return
        try:
            module = native.build()
        except native.CannotBuild as error:
            if wanted == "1":
                raise RuntimeError(f"STRAYLINE_NATIVE=1, but {error}") from None
            self.app.display_warning(f"the native decoder is left out: {error}")
            return
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"cp311-abi3-{platform}"
        build_data["artifacts"].append(f"/{module.relative_to(native.ROOT)}")
