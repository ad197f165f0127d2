"""Swift beside its peers: every figure is measured in one run with them, interleaved, and printed as a ratio.

`python -m bench <name>` runs one bench; `bench.__main__` lists them.
`bench.cases` says what is asked and what must be answered, `bench.subjects` holds one module per framework,
`bench.targets` what Swift has to reach.
"""
