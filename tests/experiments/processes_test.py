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

from experiments import processes, train_request
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
    (("auto", 2, None), "leave --num_processes and --process_id out"),
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


class Table:
  """The runtime's table of keys, and a clock that others live by."""

  def __init__(self, monkeypatch, others):
    """others: second -> what happens then, a function of the table."""
    self.now, self.values, self._others = 0, {}, others
    monkeypatch.setattr(processes.distributed.global_state, "client", self)
    monkeypatch.setattr(processes.time, "sleep", self._sleep)
    monkeypatch.setattr(processes.time, "monotonic", lambda: self.now)
    monkeypatch.setattr(processes.os, "_exit", sys.exit)

  def _sleep(self, seconds):
    self.now += seconds
    self._others(self)

  def key_value_set(self, key, value, allow_overwrite=False):
    assert allow_overwrite or key not in self.values
    self.values[key] = value

  def key_value_dir_get(self, prefix):
    return [(key, value) for key, value in self.values.items() if key.startswith(prefix)]

  def sign_of_life(self, index):
    self.key_value_set(f"{processes.KEYS}alive/{index}", str(self.now), allow_overwrite=True)


def test_whoever_is_late_and_alive_is_waited_for(monkeypatch):
  def others(table):
    if table.now < 10_000:
      table.sign_of_life(1)
    elif table.now == 10_000:
      table.key_value_set(f"{processes.KEYS}the end/1", "here")

  table = Table(monkeypatch, others)
  processes.Team(0, 2).wait("the end")
  assert table.now == 10_000


def test_a_death_is_one_sentence_once_all_who_live_are_here(monkeypatch, capsys):
  def others(table):  # 1 dies after 100 s, 2 comes after 400 s
    for index in (1, 2) if table.now <= 100 else (2,):
      table.sign_of_life(index)
    if table.now == 400:
      table.key_value_set(f"{processes.KEYS}the end/2", "here")

  table = Table(monkeypatch, others)
  with pytest.raises(SystemExit) as left:
    processes.Team(0, 3).wait("the end")
  assert left.value.code == 2 and table.now == 400
  assert "process 0: another process ended before the end; what each has saved is kept" in capsys.readouterr().err


def test_a_lost_table_is_one_sentence(monkeypatch, capsys):
  def others(table):
    raise jax.errors.JaxRuntimeError("UNAVAILABLE: Failed to send RPC to coordination service")

  Table(monkeypatch, others)
  with pytest.raises(SystemExit) as left:
    processes.Team(1, 2).wait("the end")
  assert left.value.code == 2 and "process 1: another process ended before the end" in capsys.readouterr().err


def test_a_run_that_another_machine_has_begun_may_take_a_while_to_be_seen(tmp_path, monkeypatch):
  def others(table):
    if table.now == 40:
      (tmp_path / "config.json").touch()

  table = Table(monkeypatch, others)
  processes._await(tmp_path / "config.json")
  assert table.now == 40
  processes._await(tmp_path / "nothing")
  assert table.now == 40 + processes.SEEN_SECONDS


def test_other_flags_or_data_than_process_0s_are_one_sentence(tmp_path, monkeypatch):
  (tmp_path / "config.json").touch()
  config = {"flags": dict.fromkeys(train_request.IDENTITY, "same") | {"set": ["batch_size=8"]}}
  config |= {"dataset": {"sha256": {"obs": "0"}, "folder": "data/d"}}
  monkeypatch.setattr(processes.runs, "read_config", lambda folder: config)
  processes.require_same_start(tmp_path, config)
  with pytest.raises(UserError, match=r"--set=\['batch_size=16'\] here, where process 0 has \['batch_size=8'\]"):
    processes.require_same_start(tmp_path, config | {"flags": config["flags"] | {"set": ["batch_size=16"]}})
  other = config["dataset"] | {"sha256": {"obs": "1"}}
  with pytest.raises(UserError, match="data/d has other content here than where process 0 reads it"):
    processes.require_same_start(tmp_path, config | {"dataset": other})
