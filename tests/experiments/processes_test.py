"""Two processes train four seeds together, one is killed, and the resumed run is the run of one process."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from experiments import processes
from experiments.runs import UserError
from marl_offline.training import checkpoints
from tests.experiments import binaries

ROOT = pathlib.Path(__file__).parents[2]
RUN = ("--algorithm=bc", "--set=batch_size=8", "--gradient_steps=5000", "--evaluations=10", "--episodes=3")


def free_port():
  with socket.socket() as listener:
    listener.bind(("localhost", 0))
    return listener.getsockname()[1]


def start(folder, run, *arguments):
  command = [sys.executable, "-m", "experiments.train", f"--data_dir={folder}", f"--run_dir={folder / run}", *arguments]
  return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


def start_both(folder, *arguments):
  together = (f"--coordinator=localhost:{free_port()}", "--num_processes=2")
  return [start(folder, "together", *together, f"--process_id={index}", *arguments) for index in range(2)]


def test_two_processes_train_four_seeds_and_resume_after_one_is_killed(tmp_path):
  binaries.make_data("spread", "medium-replay", tmp_path)
  first, second = start_both(tmp_path, *RUN, "--num_seeds=4")
  part, limit = tmp_path / "together" / "process_1" / "checkpoints", time.monotonic() + 500
  while not list(part.glob("[0-9]*")) and second.poll() is None and time.monotonic() < limit:
    time.sleep(0.02)
  second.send_signal(signal.SIGKILL)
  out, err = first.communicate(timeout=600)
  second.communicate(timeout=300)
  assert first.returncode == 2, (out, err)
  assert "another process ended before all seeds were trained; what each has saved is kept" in err.splitlines()[-1]
  assert not (tmp_path / "together" / "result.json").exists()
  step = checkpoints.Checkpoints(part).steps()[-1]
  assert step < 5000, "it was killed before its end"
  both = start_both(tmp_path, "--resume")
  told = [process.communicate(timeout=600) for process in both]
  assert [process.returncode for process in both] == [0, 0], told
  result = json.loads((tmp_path / "together" / "result.json").read_text())
  assert result["seeds"] == [0, 1, 2, 3] and not list((tmp_path / "together").glob("process_*"))
  alone = tmp_path / "alone"
  process = start(tmp_path, "alone", *RUN, "--num_seeds=4")
  told = process.communicate(timeout=600)
  assert process.returncode == 0, told
  expected = json.loads((alone / "result.json").read_text())
  np.testing.assert_allclose(result["raw_return"], expected["raw_return"], rtol=1e-5)
  for name in ("metrics.jsonl", "returns.npz", "learning_curve.png", "checkpoints"):
    assert (tmp_path / "together" / name).exists() and (alone / name).exists()
  (tmp_path / "together" / "result.json").unlink()
  again = start(tmp_path, "together", "--resume")  # a joined run is like any
  told = again.communicate(timeout=600)
  assert again.returncode == 0, told
  assert json.loads((tmp_path / "together" / "result.json").read_text())["raw_return"] == result["raw_return"]
  ours, theirs = ((run / "metrics.jsonl").read_text().splitlines() for run in (tmp_path / "together", alone))
  assert [json.loads(line)["step"] for line in ours] == [json.loads(line)["step"] for line in theirs]


@pytest.mark.parametrize(
  ("given", "words"),
  [
    ((None, 2, None), "need --coordinator=host:port of process 0"),
    (("localhost:1", 2, None), "needs --num_processes and a --process_id below it"),
    (("localhost:1", 2, 2), "needs --num_processes and a --process_id below it"),
  ],
)
def test_half_of_the_flags_is_one_sentence(given, words):
  with pytest.raises(UserError, match=words):
    processes.join(*given)


def test_shares_are_equal_and_a_run_keeps_its_number_of_processes(tmp_path):
  assert processes.Team(1, 2).seeds([4, 5, 6, 7]) == [6, 7]
  with pytest.raises(UserError, match="--num_seeds=3 must be a multiple of the 2 processes"):
    processes.Team(0, 2).seeds([0, 1, 2])
  with pytest.raises(UserError, match="was begun by 2 processes, not 1; start as many"):
    processes.require_same(processes.Team(), tmp_path, {"processes": 2})
  os.makedirs(tmp_path / "checkpoints" / ".unfinished-5")
  processes.require_same(processes.Team(0, 2), tmp_path, {"processes": 2})  # killed while it was being joined
  os.mkdir(tmp_path / "checkpoints" / "5")
  processes.require_same(processes.Team(), tmp_path, {"processes": 2})  # whole, like any run's
  with pytest.raises(UserError, match="is trained to its end"):
    processes.require_same(processes.Team(0, 2), tmp_path, {"processes": 2})


@pytest.mark.parametrize("error", [jax.errors.JaxRuntimeError, ValueError])
def test_a_death_is_one_sentence_however_the_runtime_tells_it(error, monkeypatch, capsys):
  def gone(what):
    raise error("UNKNOWN: Gloo AllGather failed: Connection closed by peer")

  monkeypatch.setattr(processes.multihost_utils, "sync_global_devices", gone)
  monkeypatch.setattr(processes.os, "_exit", sys.exit)
  with pytest.raises(SystemExit) as left:
    processes.Team(0, 2).wait("the end")
  assert left.value.code == 2
  assert "process 0: another process ended before the end; what each has saved is kept" in capsys.readouterr().err
