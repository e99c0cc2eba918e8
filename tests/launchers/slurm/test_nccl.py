"""By which interface NCCL's ranks are told to meet under Slurm."""

from __future__ import annotations

import pytest

from batchscale.launchers.slurm.layout import Layout
from batchscale.launchers.slurm.rank import nccl_variables

NODES, ADDRESSES = ("g9", "g10"), ("127.0.0.9", "127.0.0.10")
GPUS = {"BATCHSCALE_DEVICE": "gpu", "BATCHSCALE_LAUNCHER": "srun", "SLURM_NODEID": "1"}


@pytest.mark.parametrize(("nodes", "interface", "variables", "expected"), [
    (2, "", GPUS, {"NCCL_SOCKET_IFNAME": "lo"}),  # by which this machine reaches the other node's address
    (2, "ib0", GPUS, {"NCCL_SOCKET_IFNAME": "ib0"}),
    (2, "ib0", {**GPUS, "NCCL_SOCKET_IFNAME": "ib1"}, {}),
    (2, "ib0", {**GPUS, "BATCHSCALE_DEVICE": ""}, {}),
    (1, "ib0", GPUS, {}),
    (2, "", {**GPUS, "BATCHSCALE_LAUNCHER": "mpirun"}, {}),
    (2, "ib0", {**GPUS, "BATCHSCALE_LAUNCHER": "mpirun"}, {"NCCL_SOCKET_IFNAME": "ib0"})])
def test_it_is_the_sites_or_the_one_that_leads_to_the_other_nodes(nodes: int, interface: str, variables: dict[str, str],
                                                                  expected: dict[str, str]) -> None:
    layout = Layout(NODES[:nodes], ADDRESSES[:nodes], 2, "collectives", interface=interface)
    assert nccl_variables(layout, variables) == expected
