"""The suite's own benchmarks: `make bench`, and two comparisons with what one would run instead.

    python -m batchscale.benchmarks.micro.against_fit.loop        training throughput against model.fit
    python -m batchscale.benchmarks.micro.against_fit.two_ranks     two ranks against fit with Horovod
"""
