#!/usr/bin/env python3
"""Writes the zip files in this directory: three parts of a float32 array, two rows of three numbers each."""

import zipfile

import numpy as np

rows = np.arange(18, dtype="<f4").reshape(3, 2, 3) / 4
for name, part in zip("abc", rows):
    if name == "c":
        np.savez_compressed(f"{name}.npz", part=part)
    else:
        with zipfile.ZipFile(f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(f"{name}.f32", part.tobytes())
