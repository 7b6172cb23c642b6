"""Whole tasks measured side by side with what people use otherwise: `python -m benchmarks.run` (`make benchmarks`).

    run       the command: which rows, on which photos, how many rounds
    rows      what a row is: the task, its peer, the aim, how it is measured
    paired    rounds of A, B, A, B ..., and the spread of their ratios
    side      one side of a row, in a process of its own
    ours      the library's sides, called as the stages call it
    peers     the other sides; they know nothing of portrait18
    inputs    photos, crops and models to measure with
    projects, timer    whole projects for real dvc commands, and how long their stages take
    crop, train, variants, predict, pipeline, memory, growth, serving    the rows
    report    reports/benchmarks.json, and the README's table of it

Only ratios are told. Seconds belong to one machine on one day; two sides that take turns share both.
"""
