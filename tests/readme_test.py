"""What the README shows is run here, so that it stays true."""

import importlib
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marl_offline.datasets import storage
from marl_offline.environments.api import PureEnvironment

TEXT = (pathlib.Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.S)


def block(word):
  """The one Python block that mentions the word."""
  (found,) = [text for text in BLOCKS if word in text]
  return found


def test_a_loss_in_your_own_code():
  names = {}
  exec(block("my_target"), names)
  weights = jax.random.normal(jax.random.key(0), (4, 6))  # four members, linear in three agents' two numbers each

  def q(state, action):
    return weights @ action.ravel() + state

  def target(key):
    data, policy = jnp.zeros((3, 2)), jnp.ones((3, 2))
    return names["my_target"](key, jnp.array(1.0), jnp.array(0.9), data, policy, q, q, jnp.array(2.0))

  values = jax.jit(jax.vmap(target))(jax.random.split(jax.random.key(1), 5))
  assert values.shape == (5,) and np.isfinite(values).all()

  def loss(weights):
    def q(state, action):
      return weights @ action.ravel() + state

    return names["my_critic_loss"](q, jnp.zeros(5), jnp.ones((5, 3, 2)), values)

  value, gradient = jax.value_and_grad(loss)(weights)
  expected = weights.sum(axis=1)[None, :] - values[:, None]  # [B, E]
  np.testing.assert_allclose(value, jnp.square(expected).mean(), rtol=1e-5)
  np.testing.assert_allclose(gradient, jnp.repeat(2 * expected.mean(axis=0)[:, None] / 4, 6, axis=1), rtol=1e-4)


def test_your_own_data(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  random = np.random.default_rng(0)
  lengths = (25, 7)
  mine = [
    (random.normal(size=(t + 1, 3, 18)), random.uniform(-1, 1, (t + 1, 3, 2)), random.normal(size=t), t < 25)
    for t in lengths
  ]
  exec(block("storage.from_episodes"), {"mine": mine})
  episodes, card = storage.load("data/spread-mine-v1")
  assert episodes.num_rows == 32 and card["origin"] == "converted"
  assert np.flatnonzero(episodes.terminated).tolist() == [31]


def test_your_own_environment(tmp_path):
  """Two agents are paid for pushing where a number points, for three steps; the data know it, play must show it."""
  random = np.random.default_rng(0)

  def pushed(obs, action):
    return (obs * action).sum(axis=(-1, -2))

  def episode():
    obs, action = random.uniform(-1, 1, (4, 2, 1)), random.uniform(-1, 1, (4, 2, 1))
    return {"obs": obs, "action": action, "reward": pushed(obs, action)[:3], "terminated": False}

  storage.save(tmp_path / "data", storage.from_episodes([episode() for _ in range(100)]), task="push", quality="mine",
               version="v1", origin="converted")  # fmt: skip
  environment = PureEnvironment(
    name="push", version="v1", num_agents=2, obs_size=1, action_size=1, state_size=2, horizon=3,
    reset=lambda key: jax.random.uniform(key, (2, 1), minval=-1.0), observe=lambda world: world,
    step=lambda world, action, key: (jax.random.uniform(key, (2, 1), minval=-1.0), pushed(world, action), False, False),
  )  # fmt: skip
  names = {}
  exec(block("my_environment"), names)
  config = names["spacql"].Config(batch_size=32, ensemble_size=2, hidden_size=16, num_proposals=2, alpha=0.1)
  returns = names["train"](environment, tmp_path / "data", config, seeds=(0, 1), updates=400)
  assert returns.shape == (2, 100)
  assert returns.mean() > 1.0  # uniform play gets 0, the best 3 (three steps, two agents, E|o| = 1/2)


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`python -m experiments\.([^`]*)`", TEXT))))
def test_every_command_names_a_binary_and_its_flags(command):
  name, *arguments = command.split()
  module = importlib.import_module(f"experiments.{name}")
  flags = getattr(module, "FLAGS", None) or importlib.import_module(f"experiments.{name}_request").FLAGS
  given = {argument.removeprefix("--").split("=")[0] for argument in arguments if argument.startswith("--")}
  assert given <= set(flags)
