"""A run that is killed and resumed ends with the same bits as the run that never stopped (CPU, one machine)."""

import pathlib
import signal
import subprocess
import sys

import chex
import jax
import pytest

from marl_offline.training import checkpoints, trainer
from tests.training import tiny

PLAN = trainer.Plan(gradient_steps=100, evaluations=5, log_every=10)  # a checkpoint every 20 steps
ROOT = pathlib.Path(__file__).resolve().parents[1]
KILLED_AFTER_A_SAVE = """
import os, signal, sys
from tests import conftest, resume_test  # compiled as here, or the bits differ
from tests.training import tiny
def die(step):
  if step == 60:
    os.kill(os.getpid(), signal.SIGKILL)
tiny.run(sys.argv[1], 100, resume_test.PLAN, on_save=die)
"""
KILLED_WITHIN_A_SAVE = """
import os, signal, sys
from marl_offline.training import checkpoints
from tests import conftest, resume_test
from tests.training import tiny
check = checkpoints._require_equal
def die(item, read, written):
  check(item, read, written)
  if item == "seed_1" and os.path.isdir(os.path.join(sys.argv[1], "60")):  # all of step 80 is on disk but its meta
    os.kill(os.getpid(), signal.SIGKILL)
checkpoints._require_equal = die
tiny.run(sys.argv[1], 100, resume_test.PLAN)
"""


def plain(states):
  return jax.device_get(states.replace(key=jax.random.key_data(states.key)))


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory):
  return tiny.run(tmp_path_factory.mktemp("whole"), 100, PLAN)


@pytest.mark.parametrize("program", [KILLED_AFTER_A_SAVE, KILLED_WITHIN_A_SAVE])
def test_killed_at_60_and_resumed_is_100_bit_for_bit(program, never_stopped, tmp_path):
  killed = subprocess.run([sys.executable, "-c", program, tmp_path], cwd=ROOT, capture_output=True, timeout=300)
  assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
  keeper = checkpoints.Checkpoints(tmp_path)
  assert keeper.steps()[-1] == 60
  assert (program == KILLED_WITHIN_A_SAVE) == (tmp_path / ".unfinished-80").exists()
  states, position = tiny.run(tmp_path, 100, PLAN)
  chex.assert_trees_all_equal(plain(states), plain(never_stopped[0]))
  assert keeper.steps()[-1] == 100
  assert not list(tmp_path.glob(".unfinished*"))
  assert position.step == never_stopped[1].step


def test_stopped_between_evaluations_logs_what_the_whole_run_logs(tmp_path, monkeypatch):
  wide = trainer.Plan(gradient_steps=60, evaluations=1, log_every=10)
  _, whole = tiny.run(tmp_path / "whole", 60, wide)
  chunk, seen = trainer.Programs.__call__, []

  def stop_at_30(self, states, dataset, run_keys, step, length, fed):
    if step == 20:
      signal.raise_signal(signal.SIGTERM)
    return chunk(self, states, dataset, run_keys, step, length, fed)

  log = trainer.Position.metrics
  monkeypatch.setattr(trainer.Position, "after_evaluation", lambda self, s: (seen.append(log(self)), self)[1])
  monkeypatch.setattr(trainer.Programs, "__call__", stop_at_30)
  _, position = tiny.run(tmp_path / "halves", 60, wide)
  assert (position.step, position.pending_steps, seen) == (30, 30, [])
  monkeypatch.setattr(trainer.Programs, "__call__", chunk)
  tiny.run(tmp_path / "halves", 60, wide)
  tiny.run(tmp_path / "again", 60, wide)
  chex.assert_trees_all_equal(seen[0], seen[1])
  assert whole.step == 60
