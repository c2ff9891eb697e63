"""A task that is not of the library, as its users write one: two agents are paid for pushing where a number points."""

import jax
import numpy as np

from marl_offline.datasets import storage
from marl_offline.environments.api import PureEnvironment
from marl_offline.evaluation import scores

REFERENCE = scores.Reference(expert=3.0, random=0.0, source="three steps, two agents, E|obs| = 1/2")


def make() -> PureEnvironment:
  """The task; an episode is three steps."""
  return PureEnvironment(
    name="push",
    version="v1",
    num_agents=2,
    obs_size=1,
    action_size=1,
    state_size=2,
    horizon=3,
    reset=lambda key: jax.random.uniform(key, (2, 1), minval=-1.0),
    observe=lambda world: world,
    step=lambda world, action, key: (jax.random.uniform(key, (2, 1), minval=-1.0), _paid(world, action), False, False),
  )


def draw(axes, world) -> None:
  """Paints where the numbers point."""
  axes.bar([0, 1], world[:, 0])


def save_data(folder) -> None:
  """A hundred episodes of uniform play."""
  random = np.random.default_rng(0)

  def episode():
    obs, action = random.uniform(-1, 1, (4, 2, 1)), random.uniform(-1, 1, (4, 2, 1))
    return {"obs": obs, "action": action, "reward": _paid(obs, action)[:3], "terminated": False}

  episodes = storage.from_episodes([episode() for _ in range(100)])
  storage.save(folder, episodes, task="push", quality="mine", version="v1", origin="converted")


def _paid(obs, action):
  return (obs * action).sum(axis=(-1, -2))
