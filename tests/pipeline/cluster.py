"""A Slurm cluster of one node on this machine, with its own ports, keys and folder."""

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun")
SYSTEM_PATH = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"])
CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
# A restarted job must wait until the credential of its last start has expired, by default 120 s.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
# Without control groups, which containers often lack.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000,sched_interval=2,bf_interval=2
# Two CPUs on any machine, so that two jobs run at a time, and one job can have two tasks.
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=1000
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE
"""


def missing_programs() -> list[str]:
    """Return the programs of Slurm and munge that are not installed."""
    return [name for name in PROGRAMS if shutil.which(name, path=SYSTEM_PATH) is None]


@contextmanager
def _daemon(*command: str, log: Path) -> Iterator[psutil.Popen]:
    """Run a daemon in the foreground; end it and its children at the end."""
    with open(log, "ab") as out:
        process = psutil.Popen(
            command,
            stdout=out,
            stderr=out,
            env={**os.environ, "PATH": SYSTEM_PATH},
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait()


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _wait_until_idle(env: dict[str, str], folder: Path, seconds: float = 60) -> None:
    """Wait until the node accepts jobs."""
    deadline = time.monotonic() + seconds
    state = subprocess.CompletedProcess([], 1, "", "")
    while time.monotonic() < deadline:
        state = subprocess.run(
            ["sinfo", "--noheader", "--format=%T"], env=env, text=True, capture_output=True
        )
        if state.stdout.strip() == "idle":
            return
        time.sleep(0.2)
    logs = "\n".join(path.read_text() for path in sorted(folder.glob("*.log")))
    raise AssertionError(f"no idle node: {state.stdout}{state.stderr}\n{logs}")


@contextmanager
def slurm_cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Start munged, slurmctld and slurmd.

    Args:
        folder: new folder for the configuration, state and logs of the cluster. Its path must be
            short: that of a socket has at most 107 characters.

    Yields:
        Environment variables with which `sbatch` and others use this cluster.
    """
    folder.mkdir(mode=0o755)
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    control_port, node_port = _free_ports(2)
    config = folder / "slurm.conf"
    config.write_text(
        CONFIG.format(
            host=socket.gethostname().partition(".")[0],
            user=getpass.getuser(),
            folder=folder,
            control_port=control_port,
            node_port=node_port,
        )
    )
    munge = [f"--key-file={key}", f"--socket={folder}/munge.socket", f"--pid-file={folder}/pid"]
    munge += [f"--seed-file={folder}/seed", f"--log-file={folder}/munged.log"]
    env = {"SLURM_CONF": str(config), "PATH": SYSTEM_PATH}
    with ExitStack() as stack:
        daemons = [
            ("munged", "--foreground", "--force", *munge),
            ("slurmctld", "-D", "-f", str(config)),
            ("slurmd", "-D", "-f", str(config)),
        ]
        for command in daemons:
            stack.enter_context(_daemon(*command, log=folder / "daemons.log"))
            if command[0] == "munged":
                _wait_for(folder / "munge.socket")
        _wait_until_idle({**os.environ, **env}, folder)
        yield env


def _wait_for(path: Path, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} is missing after {seconds} s"
        time.sleep(0.05)
