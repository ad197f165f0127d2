"""Builds the Cython kernels of `swift/_speedups`; everything else is in pyproject.toml."""

from __future__ import annotations

import os
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup

# SWIFT_ANNOTATE=1 writes the annotated HTML of every kernel beside its source.
ANNOTATE = os.environ.get("SWIFT_ANNOTATE") == "1"
COMPILE_ARGS = [] if os.name == "nt" else ["-O3", "-fno-plt", "-Wno-unreachable-code"]

# The C units each kernel is linked with; the others use none.
UNITS = {
    "pgarrays": ["pg_wire"],
    "pgcontainers": ["pg_numbers", "pg_wire"],
    "pgcore": ["pg_wire"],
    "pgio": ["pg_wire"],
    "pgmux": ["pg_wire"],
    "pgtransport": ["pg_wire"],
    "pgjson": ["pg_document", "pg_json", "pg_numbers", "pg_values", "pg_wire"],
    "pgmisc": ["pg_numbers", "pg_values", "pg_wire"],
    "pgrows": ["pg_wire"],
    "pgtemporal": ["pg_wire"],
    "pgscalars": ["pg_numbers", "pg_values", "pg_wire"],
    "pgvalues": ["pg_wire"],
}


def kernel(path: str) -> Extension:
    units = UNITS.get(os.path.basename(path)[: -len(".pyx")], [])
    return Extension(
        path[: -len(".pyx")].replace("/", "."),
        [path, *(f"csrc/{unit}.c" for unit in units)],
        include_dirs=["csrc"] if units else [],
        depends=sorted(glob("csrc/*.h")) if units else [],
        # Sockets are a library of their own there.
        libraries=["ws2_32"] if os.name == "nt" and units else [],
        extra_compile_args=COMPILE_ARGS,
    )


extensions = [kernel(path) for path in sorted(glob("swift/_speedups/*.pyx"))]

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
