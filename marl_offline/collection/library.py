"""Makes a policy library from one online run: trains, scores every snapshot, chooses the qualities."""

import dataclasses
from typing import Any

import jax
import numpy as np

from marl_offline.collection import mappo, online, policies
from marl_offline.environments.api import PureEnvironment, observation_hash
from marl_offline.evaluation import scores

CONFIG = mappo.Config()
ITERATIONS = {"spread": 400, "tag": 800, "world": 800}  # of 12,800 steps each: till the curve is flat
EPISODES = 1000  # that each snapshot is scored with


def train(environment: PureEnvironment, seed: int) -> policies.Library:
  """A library of our own, from nothing. Two minutes on two idle cores for `spread`, seven on one for each chase.

  Raises:
    ValueError: the run did not get as far as the data set's qualities need.
  """
  name = environment.name
  history = online.train(online.as_game(environment), CONFIG, ITERATIONS[name], seed, title=f"{name}: MAPPO")
  return from_history(environment, history, CONFIG, seed)


def snapshot_returns(environment: PureEnvironment, actors: list[Any], seed: int) -> np.ndarray:
  """Mean return of each snapshot, acting with its own noise, over 1,000 episodes. -> [Z]."""
  game, key = online.as_game(environment), jax.random.key(seed)
  return np.array([np.mean(online.episode_returns(game, (actor,), key, EPISODES)[0]) for actor in actors])


def from_history(
  environment: PureEnvironment, history: online.History, config: mappo.Config, seed: int
) -> policies.Library:
  """Scores a finished run's snapshots and keeps those that the qualities need."""
  actors = [policies.rounded(actor) for (actor,) in history.actors]
  returns = snapshot_returns(environment, actors, seed + 1)
  normalized = scores.normalized(environment.name, returns)
  roles = policies.choose(environment.name, normalized)
  facts = {
    "task": environment.name,
    "environment": {"version": environment.version, "observation_hash": observation_hash(environment)},
    "learner": "MAPPO (central critic, actors shared within the team)",
    "config": dataclasses.asdict(config),
    "seed": seed,
    "curve": {
      "env_steps": history.env_steps.tolist(),
      "return": np.round(returns, 1).tolist(),
      "normalized": np.round(normalized, 1).tolist(),
      "meaning": f"mean over {EPISODES} episodes, acting with the noise of that moment",
    },
  }
  return policies.build(actors, roles, facts)
