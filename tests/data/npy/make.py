#!/usr/bin/env python3
"""Writes the .npy files beside it, by NumPy itself: pip install numpy.

Of each dtype there is an array of 3 rows and 2 columns: 0 1, 2 3, 4 5 (of complex numbers, n - n*1j; of truth values, whether n is odd).
The others are what is not supported, or another version of the format.
"""

import os

import numpy as np

os.chdir(os.path.dirname(os.path.abspath(__file__)))
numbers = np.arange(6).reshape(3, 2)

np.save("b1.npy", numbers % 2 == 1)
for name in ["i1", "u1"]:
    np.save(f"{name}.npy", numbers.astype(name))
for name in ["i2", "i4", "i8", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]:
    values = numbers * (1 - 1j) if name.startswith("c") else numbers
    np.save(f"{name}-little.npy", values.astype("<" + name))
    np.save(f"{name}-big.npy", values.astype(">" + name))

for version in [(2, 0), (3, 0)]:
    with open(f"version-{version[0]}.npy", "wb") as file:
        np.lib.format.write_array(file, numbers.astype("<f8"), version=version)

np.save("number.npy", np.float64(7))
np.save("empty.npy", np.zeros((0, 2)))
np.save("one-axis.npy", numbers.astype("<f8").reshape(6))
np.save("three-axes.npy", np.arange(24, dtype="<f8").reshape(2, 3, 4))
np.save("fortran.npy", np.asfortranarray(numbers.astype("<f8")))
np.save("objects.npy", np.array([1, "two", None], dtype=object), allow_pickle=True)
np.save("structures.npy", np.array([(1, 2.0)], dtype=[("a", "<i4"), ("b", "<f8")]))
np.save("texts.npy", np.array(["one", "two"]))
np.save("times.npy", np.array(["2020-01-01"], dtype="datetime64[D]"))
np.savez("archive.npz", a=numbers)
