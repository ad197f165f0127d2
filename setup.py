"""Builds the Cython kernels of `swift/_speedups`; everything else is in pyproject.toml."""

from __future__ import annotations

import os
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup

# SWIFT_ANNOTATE=1 writes the annotated HTML of every kernel beside its source.
ANNOTATE = os.environ.get("SWIFT_ANNOTATE") == "1"
COMPILE_ARGS = [] if os.name == "nt" else ["-O3", "-fno-plt", "-Wno-unreachable-code"]

extensions = [
    Extension(
        path[: -len(".pyx")].replace("/", "."),
        [path],
        extra_compile_args=COMPILE_ARGS,
    )
    for path in sorted(glob("swift/_speedups/*.pyx"))
]

setup(
    ext_modules=cythonize(
        extensions,
        annotate=ANNOTATE,
        build_dir="build/cython",
        compiler_directives={
            "language_level": 3,
            "embedsignature": True,
            "freethreading_compatible": False,
        },
    ),
)
