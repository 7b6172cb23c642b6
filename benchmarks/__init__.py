"""Measure whole tasks versus other tools: `python -m benchmarks.run` (`make benchmarks`).

    run       the command line: which rows, on which photos, how many rounds
    rows      what a row is: task, peer, goal, and how it is measured
    paired    alternate two sides, A B A B ..., and the spread of their ratios
    side      run one side of a row in its own process
    ours      this library's sides, called as the stages call it
    peers     the other sides; they import nothing from portrait18
    inputs    photos, crops and models to measure with
    projects, timer    copies of the project for real dvc commands, and the time of their stages
    load      an HTTP load generator
    crop, train, variants, predict, pipeline, parallel, memory, growth, serving    the rows
    detection share of found faces by mask state; a command of its own
    competition_size    a whole run, its sharing and its kills at the competition's size; likewise
    report    reports/benchmarks.json and the table made from it

Results are ratios where possible: seconds depend on the machine and its load, and both sides of an
alternating pair share these.
"""
