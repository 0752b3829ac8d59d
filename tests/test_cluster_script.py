"""The job for a cluster, with commands of Slurm that write down how they were called."""

import os
import signal
import subprocess
import sys
import time

from nglab.runs.table import read_run
from nglab.settings.composing import conf_dir

SMALL = ["arch=mlp", "arch.widths=[5,4,3]", "data.train_examples=90", "data.test_examples=20", "optimizer=sgd",
         "optimizer.batch_size=20", "train.eval_every_examples=900"]  # fmt: skip


def test_a_run_at_its_time_limit_is_put_into_the_queue_again(tmp_path):
    for name, does in {
        "scontrol": 'echo "$@" >> called',
        "nglab": f'exec {sys.executable} -m nglab "$@"',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    root = conf_dir().parent
    script = root / "scripts" / "run_cluster.sh"
    command = ["bash", str(script), *SMALL, "train.passes=1e6", "out=here"]
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(root),
        "SLURM_JOB_ID": "17",
    }
    job = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    while not (tmp_path / "here" / "metrics.csv").exists():
        assert job.poll() is None
        time.sleep(0.05)
    job.send_signal(signal.SIGUSR1)
    assert job.wait() == 128 + signal.SIGUSR1
    assert (tmp_path / "called").read_text() == "requeue 17\n"
    assert read_run(tmp_path / "here").summary["status"] == "interrupted"
    assert (tmp_path / "here" / "checkpoint.pt").exists()
