"""Text that other tools print of throughput and of collectives, as tests write it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def tf_cnn_text(replicas: int, each: int, total: float, model: str = "resnet50", variables: str = "replicated") -> str:
    """What tf_cnn_benchmarks prints, with TensorFlow's own lines between."""
    devices = ", ".join(f"'/gpu:{index}'" for index in range(replicas))
    return "\n".join([
        "2020-09-06 15:49:59.112952: I tensorflow/stream_executor/dso_loader.cc:48] opened libcudart.so",
        "TensorFlow:  2.3", f"Model:       {model}", "Dataset:     imagenet (synthetic)", "Mode:        training",
        "SingleSess:  False", f"Batch size:  {replicas * each} global", f"             {each} per device",
        "Num batches: 100", "Num epochs:  0.07", f"Devices:     [{devices}]", "Optimizer:   sgd",
        f"Variables:   {variables}", "AllReduce:   nccl", "==========", "Generating training model", "Running warm up",
        "Done warm up", "Step\tImg/sec\ttotal_loss", "1\timages/sec: 99.0 +/- 0.0 (jitter = 0.0)\t7.826 1599407438",
        f"100\timages/sec: {total:.1f} +/- 0.9 (jitter = 10.0)\t7.536 1599407462", "-" * 64,
        f"total images/sec: {total:.2f}", "-" * 64]) + "\n"


def nccl_text(seconds: Mapping[int, float], ranks: int = 16, named: bool = True) -> str:
    """What all_reduce_perf prints for these sizes in bytes; a `#` is lost before the first rank, as from Markdown."""
    factor = 2 * (ranks - 1) / ranks
    head = ["> mpirun -np 16 ./build/all_reduce_perf -b 8 -e 8G -f 2 -g 1", "",
            "nThread 1 nGpus 1 minBytes 8 maxBytes 8589934592 step: 2(factor) warmup iters: 5 iters: 20",
            *(f"{'#' if rank else ' '}  Rank {rank:2} Group  0 Pid   6899 on node-{rank // 8} device  {rank % 8} "
              "[0000:04:00] NVIDIA H100 80GB HBM3" for rank in range(ranks if named else 0)),
            "#       size         count      type   redop    root     time   algbw   busbw #wrong     time   algbw   "
            "busbw #wrong"]
    rows = []
    for size, time in seconds.items():
        shown = f"{time * 1e6:.1f}" if time < 0.01 else f"{time * 1e6:.0f}"
        each = f"{shown}  {size / time / 1e9:.4f}  {factor * size / time / 1e9:.4f}      0"
        rows.append(f"  {size:12}  {size // 4:12}     float     sum      -1    {each}    {each}")
    return "\n".join([*head, *rows, "# Out of bounds values : 0 OK", "# Avg bus bandwidth    : 70.742"]) + "\n"


def osu_text(seconds: Mapping[int, float]) -> str:
    """What OSU's all-reduce test prints for these sizes in bytes."""
    rows = [f"{size:<16}{time * 1e6:12.2f}" for size, time in seconds.items()]
    return "\n".join(["# OSU MPI Allreduce Latency Test v7.5", "# Datatype: MPI_INT.", "# Size       Avg Latency(us)",
                      *rows]) + "\n"


def jube_text(rows: Sequence[tuple[int, int, float]], bars: bool = False) -> str:
    """A table of jube result of CARAML's image classification: devices, global batch and images a second."""
    header = ("JobID", "System", "Model", "Dataset", "Nodes", "Devices", "GlobalBatchSize", "Batch", "Precision",
              "Images/second", "EnergyFile")
    table = [header, *((str(100 + index), "JEDI", "resnet50", "Synthetic", str(max(1, devices // 4)), str(devices),
                        str(batch), str(batch // max(devices, 1)), "fp16", f"{rate:.2f}", "")
                       for index, (devices, batch, rate) in enumerate(rows))]
    if not bars:
        return "".join(",".join(row) + "\n" for row in table)
    lines = ["| " + " | ".join(cell.rjust(9) for cell in row) + " |" for row in table]
    return "\n".join(["result:", lines[0], "|" + "|".join("-" * 11 for _ in header) + "|", *lines[1:]]) + "\n"


def jube_tokens(rows: Sequence[tuple[int, int, int, float]], sequence: int = 2048) -> str:
    """As of CARAML's language model: devices, those that share a model, global batch and seconds of a step."""
    header = "System,Model,ModelSize,Nodes,Devices,GlobalBatchSize,DataParallel,Time/iteration(s),Tokens/second"
    lines = [f"A100,GPT,800M,1,{devices},{batch},{devices // each},{step:.2f},{batch * sequence / step:.2f}"
             for devices, each, batch, step in rows]
    return "\n".join([header, *lines]) + "\n"
