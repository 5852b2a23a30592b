# SPDX-License-Identifier: BSD-3-Clause
"""Where the JavaScript clients are: tools/install-deps --tests puts them below the build folder."""
import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("TORC_BUILD_ROOT", ROOT / "build"))
MODULES = (BUILD if BUILD.is_absolute() else ROOT / BUILD) / "npm" / "node_modules"
