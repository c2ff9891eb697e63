"""The training of robots' policies: stopped, refused and gone on from, with nothing lost."""

import dataclasses
import fcntl
import functools

import jax
import numpy as np
import pytest

from experiments import host_behaviors, runs
from marl_offline.collection import host_library, host_online, policies
from tests.collection import host_test


@pytest.fixture
def small(monkeypatch):
  """The line of host_test as a robot. -> every Run that training began with or kept, as NumPy arrays."""
  monkeypatch.setitem(host_behaviors.ROUNDS, "line", 12)
  monkeypatch.setitem(host_library.LEVELS, "line", dict.fromkeys(("medium-replay", "medium", "expert"), 0.0))
  monkeypatch.setattr(host_library, "scorer", lambda *arguments: lambda actors, noise: np.arange(5.0))
  config = dataclasses.replace(host_behaviors.config_of("line"), hidden_size=8, batch_size=8)
  monkeypatch.setattr(host_behaviors, "config_of", lambda task: config)
  learner = host_behaviors.matd3.make(runs.plain_spec(host_test.environment()), config)
  monkeypatch.setattr(host_behaviors.matd3, "make", lambda spec, config: learner)  # one is compiled once
  monkeypatch.setattr(host_behaviors, "KEEP_EVERY", -1.0)
  plan = functools.partial(host_online.Plan, copies=4, updates=1, warmup=2, snapshots=4)
  monkeypatch.setattr(host_online, "Plan", plan)
  train, seen = host_online.train, []

  def watched(environment, learner, plan, seed, run, keep, title):
    def kept(run):
      seen.append(jax.tree.map(np.array, run))
      keep(run)

    seen.append(jax.tree.map(np.array, run))
    return train(environment, learner, plan, seed, run, kept, title)

  monkeypatch.setattr(host_online, "train", watched)
  return seen


def worlds():
  """host_test's line, where the world's name has digits that float32 has not."""
  line = host_test.environment()

  def reset(generator, count):
    return line.reset(generator, count)._replace(name=generator.uniform(size=count))

  return line._replace(reset=reset)


def test_what_was_trained_stays_until_the_library_is_written_and_is_gone_on_from_exactly(small, tmp_path, monkeypatch):
  def full(*arguments):
    raise OSError(28, "No space left on device")

  with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
    patch.setattr(policies, "save", full)
    host_behaviors.train_library(worlds(), "line", tmp_path, 3)
  assert [int(run.play.round) for run in small] == [0, 3, 6, 9]
  last = small[-1]
  assert last.play.world.name.dtype == np.float64 and (last.play.world.name != last.play.world.name.astype("f4")).any()

  monkeypatch.setitem(host_behaviors.ROUNDS, "line", 16)  # of another plan: refused, and kept
  with pytest.raises(ValueError, match="of another plan or version; remove it"):
    host_behaviors.train_library(worlds(), "line", tmp_path, 3)
  monkeypatch.setitem(host_behaviors.ROUNDS, "line", 12)
  with open(tmp_path / ".training-line.lock", "w") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    with pytest.raises(ValueError, match="another process"):
      host_behaviors.train_library(worlds(), "line", tmp_path, 3)

  host_behaviors.train_library(worlds(), "line", tmp_path, 3)
  again = small[4]
  for name, was, now in zip(
    (jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(last)),
    jax.tree.leaves(last),
    jax.tree.leaves(again),
    strict=True,
  ):
    assert was.dtype == now.dtype and was.tobytes() == now.tobytes(), name
  assert policies.load("line", tmp_path).facts["curve"]["env_steps"] == [0, 12, 24, 36, 48]
  assert not (tmp_path / ".training-line").exists()
  host_behaviors.train_library(worlds(), "line", tmp_path, 3)
  assert len(small) == 5  # it was there: nothing began again
