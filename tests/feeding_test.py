"""Where the data set lies changes no number of a run."""

import dataclasses
import functools
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import runs
from marl_offline.datasets import feeding, sampling, storage, transitions
from marl_offline.environments import particle_tasks
from marl_offline.training import memory, trainer
from marl_offline.types import Learner
from tests.datasets import made

HOOKS = trainer.Hooks(
  evaluate=lambda states: np.zeros((2, 1)),
  log=lambda position, returns: "",
  save=lambda states, position: None,
  set_aside=lambda states, position: "",
)


def learner():
  """Its state is a running hash of all it saw."""

  def update(state, batch, key, step):
    seen = sum(jnp.sum(jnp.sin((i + 1.0) * leaf)) for i, leaf in enumerate(jax.tree.leaves(batch)))
    return {"seen": 0.9 * state["seen"] + seen}, {"reward": jnp.mean(batch.reward)}

  return Learner(lambda key: {"seen": jax.random.normal(key)}, update, lambda state, memory, obs, key: (obs, memory))


@pytest.mark.parametrize("with_state", [False, True])
def test_fed_batches_are_the_drawn_ones(with_state):
  episodes = made.episodes((3, 4, 5), [True, False, False], with_state=with_state)
  plan = trainer.Plan(gradient_steps=20, evaluations=2, log_every=4)  # chunks of 4, 4, 2
  fit = functools.partial(trainer.fit, learner(), seeds=(3, 5), plan=plan, hooks=HOOKS)
  draw = functools.partial(sampling.draw, batch_size=8)
  drawn, _, _ = fit(draw=draw, dataset=transitions.from_episodes(episodes))
  on_host = transitions.from_episodes(episodes, place=np.asarray)
  assert not any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(on_host))
  fed, _, _ = fit(draw=None, dataset=None, feed=functools.partial(feeding.feed, on_host, 8))
  chex.assert_trees_all_close(drawn, fed, rtol=1e-5)
  halfway = dataclasses.replace(trainer.Position(), step=10)
  first_half = dataclasses.replace(plan, gradient_steps=10, evaluations=1)
  states, _, _ = fit(draw=draw, dataset=transitions.from_episodes(episodes), plan=first_half)
  resumed, _, _ = fit(
    draw=None, dataset=None, feed=functools.partial(feeding.feed, on_host, 8), states=states, position=halfway
  )
  chex.assert_trees_all_close(drawn, resumed, rtol=1e-5)


def test_without_the_loader_a_sentence(monkeypatch):
  monkeypatch.setitem(sys.modules, "grain", None)
  with pytest.raises(storage.DataError, match=r"needs a loader: pip install 'marl_offline\[large\]'"):
    feeding.feed(transitions.from_episodes(made.episodes((3,)), place=np.asarray), 2, None, [])


def test_a_data_set_larger_than_half_the_free_memory_stays_on_the_host(tmp_path, monkeypatch):
  environment = particle_tasks.spread()
  rng = np.random.default_rng(0)
  obs, action = rng.normal(size=(50, 3, 18)).astype("f"), rng.uniform(-1, 1, (50, 3, 2)).astype("f")
  ends = np.arange(50) % 25 == 24
  episodes = storage.Episodes(
    obs, action, rng.normal(size=(50, 3)).astype("f"), np.zeros(50, bool), ends, obs[:2], action[:2]
  )
  folder = tmp_path / "spread-mine-v1"
  storage.save(folder, episodes, task="spread", quality="mine", version="v1")
  assert not runs.open_data(folder, environment, "mean").why_on_host
  monkeypatch.setattr(memory, "free", lambda device: 20_000)
  data = runs.open_data(folder, environment, "mean")
  assert "more than half of the 0.00 GiB free" in data.why_on_host
  assert isinstance(data.dataset.obs.base, np.memmap)
