"""Coupled data: each agent acts as ever, all together with the probability asked for, and kappa is that probability."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import collect
from marl_offline.collection import coupled, mappo, policies, record
from marl_offline.datasets import storage
from marl_offline.environments import particle_tasks
from tests.experiments import binaries

DRAWS = 40_000
uniform = functools.partial(jax.random.uniform, minval=-1.0, maxval=1.0)


def drawn(probability, num_agents=3, size=2):
  return np.asarray(coupled.draw(uniform, jax.random.key(0), (DRAWS, num_agents, size), probability))


def test_excess_correlation_by_hand():
  # two agents with two actions, always the same one: marginals (1/2, 1/2), product 1/4 everywhere;
  # 1/2 * (|1/2 - 1/4| + |0 - 1/4| + |0 - 1/4| + |1/2 - 1/4|) = 1/2
  assert coupled.excess_correlation([[0.5, 0.0], [0.0, 0.5]]) == pytest.approx(0.5)
  assert coupled.excess_correlation(np.outer([0.3, 0.7], [0.2, 0.8])) == pytest.approx(0.0, abs=1e-12)
  assert coupled.excess_correlation([0.3, 0.7]) == pytest.approx(0.0)  # one agent
  with pytest.raises(ValueError, match="sum to 1"):
    coupled.excess_correlation([[1.0, 0.5], [0.0, 0.5]])


@pytest.mark.parametrize("probability", [0.0, 0.25, 1.0])
def test_all_act_alike_as_often_as_asked(probability):
  action = drawn(probability)
  alike = (action == action[:, :1]).all(axis=(1, 2))
  assert abs(alike.mean() - probability) < 0.01
  assert (
    not (action == action[:, :1]).all(axis=2)[~alike][:, 1:].any()
  )  # then no agent follows another, in no component


@pytest.mark.parametrize("probability", [0.0, 0.6, 1.0])
def test_every_agent_by_itself_is_uniform(probability):
  action = drawn(probability)
  for agent in range(3):
    x, y = action[:, agent].T
    counts = np.histogram2d(x, y, bins=4, range=[[-1, 1], [-1, 1]])[0] / DRAWS
    np.testing.assert_allclose(counts, 1 / 16, atol=0.006)  # four standard errors


@pytest.mark.parametrize("probability", [0.0, 0.25, 0.75, 1.0])
def test_kappa_is_the_probability_up_to_the_grid(probability):
  # On m cells an agent: D has 1/m in each of m diagonal cells, the product m^-N everywhere, so TV = 1 - m^(1 - N).
  for num_agents, cells in ((2, 5), (3, 4)):
    action = drawn(probability, num_agents, size=1)[:, :, 0]
    joint = np.histogramdd(action, bins=cells, range=[(-1, 1)] * num_agents)[0] / DRAWS
    on_grid = probability * (1 - cells ** (1 - num_agents))
    assert coupled.excess_correlation(joint) == pytest.approx(on_grid, abs=0.03)  # sampling only ever adds
  # finer and finer cells, exactly: 100 cells an agent are within 1 % of the continuous actions' kappa
  fine = probability * np.eye(100) / 100 + (1 - probability) / 100**2
  assert coupled.excess_correlation(fine) == pytest.approx(probability, abs=0.0101)


def test_policies_share_their_noise_and_keep_their_means():
  environment, actor = particle_tasks.spread(), policies.load("spread_mappo").actor(0)
  own, shared = (record.record(environment, [record.Behavior(actor, 1.0, 20, c)], 0) for c in (0.0, 1.0))

  def noise(episodes):
    mean, std = mappo.mean_action(actor, jnp.asarray(episodes.obs)), np.exp(actor["log_std"])
    inside = (np.abs(episodes.action) < 1).all(axis=(1, 2))
    return np.asarray((episodes.action - mean) / std)[inside]

  assert np.abs(noise(shared) - noise(shared)[:, :1]).max() < 1e-4
  assert np.abs(noise(own) - noise(own)[:, :1])[:, 1:].min() > 0
  np.testing.assert_array_equal(own.obs[0], shared.obs[0])  # the same starts for every coupling


@pytest.mark.parametrize("coupling", [None, 0.0, 1.0])
def test_the_noise_is_as_large_as_said_and_around_the_mean(coupling):
  """A small one, where the mean is so far inside that nothing is clipped."""
  environment, actor = particle_tasks.spread(), policies.load("spread_mappo").actor(0)
  actor = actor | {"log_std": jnp.full_like(actor["log_std"], np.log(0.1))}
  episodes = record.record(environment, [record.Behavior(actor, 0.5, 200, coupling)], 0)
  for obs, action in ((episodes.obs, episodes.action), (episodes.final_obs, episodes.final_action)):
    mean = np.asarray(mappo.mean_action(actor, jnp.asarray(obs)))
    noise = ((action - mean) / 0.05)[np.abs(mean) < 0.7]
    independent = len(noise) / (3 if coupling else 1)  # with coupling 1 three agents share a draw
    assert abs(noise.mean()) < 4 / np.sqrt(independent)
    assert abs(noise.std() - 1) < 4 / np.sqrt(2 * independent)


def call(*arguments):
  return binaries.call(collect.main, collect.FLAGS, *arguments)


def test_the_collector_writes_a_quality_of_its_own(tmp_path):
  status, out, err = call("--quality=random", "--kappa=0.25", "--rows=5000", f"--data_dir={tmp_path}")
  assert status == 0, err
  folder = tmp_path / "spread-random_kappa0.25-v1.rows5000"
  episodes, card = storage.load(folder)
  assert str(folder) in out and card["origin"] == "collected" and card["quality"] == "random_kappa0.25"
  assert card["coupling"]["kappa"] == 0.25 and "one draw for all agents" in json.dumps(card["policies"])
  for action in (episodes.action, episodes.final_action):
    assert abs((action == action[:, :1]).all(axis=(1, 2)).mean() - 0.25) < 0.1


BAD = [
  (["--kappa=1.5"], "--kappa=1.5 must lie in [0, 1]"),
  (["--kappa=nan"], "--kappa=nan must lie in [0, 1]"),
  (["--kappa=0.5", "--quality=medium-replay"], "medium-replay mixes policies"),
  (["--task=spread_6", "--quality=medium"], "--quality=medium of spread_6: no policies are known for it"),
  (["--task=spread_6", "--quality=all"], "of spread_6: no policies are known for it"),
  (["--task=spread_6", "--quality=expert", "--from_scratch"], "--quality=expert of spread_6: no policies"),
  (["--task=spread_11"], "--task=spread_11 is not known"),
]


@pytest.mark.parametrize(("arguments", "words"), BAD)
def test_what_cannot_be_made_is_one_sentence(arguments, words, tmp_path):
  status, _, err = call("--quality=random", *arguments, f"--data_dir={tmp_path / 'data'}")
  assert words in binaries.sentence(status, err)
  assert not (tmp_path / "data").exists()
