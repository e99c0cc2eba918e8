"""The suite's own benchmarks: `make bench`, and two comparisons with what one would run instead.

    python -m batchscale.benchmarks.micro.fit_ratio        training throughput against model.fit
    python -m batchscale.benchmarks.micro.side_by_side     two ranks against fit with Horovod
"""
