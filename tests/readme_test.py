"""What the README shows is run here, so that it stays true."""

import importlib
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marl_offline.datasets import storage

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


def test_your_own_data(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  random = np.random.default_rng(0)
  lengths = (25, 7)
  mine = [
    (random.normal(size=(t + 1, 3, 18)), random.uniform(-1, 1, (t + 1, 3, 2)), random.normal(size=t)) for t in lengths
  ]
  exec(block("from_episodes"), {"mine": mine})
  episodes, card = storage.load("data/spread-mine-v1")
  assert episodes.num_rows == 32 and card["origin"] == "converted"


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`python -m experiments\.([^`]*)`", TEXT))))
def test_every_command_names_a_binary_and_its_flags(command):
  name, *arguments = command.split()
  module = importlib.import_module(f"experiments.{name}")
  flags = getattr(module, "FLAGS", None) or importlib.import_module(f"experiments.{name}_request").FLAGS
  given = {argument.removeprefix("--").split("=")[0] for argument in arguments if argument.startswith("--")}
  assert given <= set(flags)
