"""Which landmark each agent of spread ends at, and agents renamed by it: roles put into a data set, or taken out.

The agents of spread are alike (one body, one reward but for collisions), so whose number is whose is a matter of names:
an episode with its agents in another order is an episode of the same task, with the same joint actions and returns.
What changes is what an agent's number tells. Named by the landmark that they end at, the agents of any data set have
fixed roles; named at random in every episode, none. A name that is known at the end only tells something of the start
too, where agents take what is near: then agent i starts nearer to landmark i than in play, which begins anywhere.
"""

import dataclasses

import numpy as np
from scipy.optimize import linear_sum_assignment

from marl_offline.datasets.storage import Episodes

NAMINGS = ("by_landmark", "at_random")
OWN = 4  # an observation begins with the own velocity and position


def distances(obs: np.ndarray) -> np.ndarray:
  """Of every agent to every landmark. obs: spread's, [P, N, O] -> [P, N, N]."""
  episodes, agents = obs.shape[:2]
  relative = obs[:, :, OWN : OWN + 2 * agents].reshape(episodes, agents, agents, 2)
  return np.linalg.norm(relative, axis=-1)


def assignments(distance: np.ndarray) -> np.ndarray:
  """The landmark of each agent that makes the sum of distances smallest, one each. [P, N, N] -> int [P, N]."""
  return np.array([linear_sum_assignment(each)[1] for each in distance])


def order_of(episodes: Episodes, naming: str, seed: int) -> np.ndarray:
  """Who is agent i of each episode from now on: its old number, int [P, N].

  by_landmark: the one that ends at landmark i; seed is not read. at_random: each order alike.
  """
  if naming == "by_landmark":
    return np.argsort(assignments(distances(episodes.final_obs)), axis=1)
  shape = (episodes.num_episodes, episodes.num_agents)
  return np.random.default_rng(seed).permuted(np.broadcast_to(np.arange(shape[1]), shape), axis=1)


def rename(episodes: Episodes, order: np.ndarray) -> Episodes:
  """The same episodes with agents in another order, observations as spread gives them then.

  episodes: spread's. order: int [P, N], see order_of. A state that repeats the observations is left out.

  Raises:
    ValueError: order is no permutation of the agents for each episode, there is a state that says something else, or
      the actions are discrete.
  """
  agents = np.arange(episodes.num_agents)
  if order.shape != (episodes.num_episodes, len(agents)) or (np.sort(order, axis=1) != agents).any():
    raise ValueError(f"order must hold the {len(agents)} agents once for each of {episodes.num_episodes} episodes")
  if episodes.without_repeated_state().state is not None:
    raise ValueError("only episodes whose state is the agents' observations can be renamed")
  if episodes.legal is not None:
    raise ValueError("spread's actions are continuous; episodes with legal ones are not renamed")
  of_rows = np.repeat(order, episodes.lengths(), axis=0)
  return dataclasses.replace(
    episodes,
    obs=_seen(episodes.obs, of_rows),
    action=_taken(episodes.action, of_rows),
    reward=_taken(episodes.reward, of_rows),
    final_obs=_seen(episodes.final_obs, order),
    final_action=_taken(episodes.final_action, order),
    state=None,
    final_state=None,
  )


def _taken(values: np.ndarray, order: np.ndarray) -> np.ndarray:
  """[R, N, ...] with agents in their new order."""
  return np.take_along_axis(values, order.reshape(*order.shape, *[1] * (values.ndim - 2)), axis=1)


def _seen(obs: np.ndarray, order: np.ndarray) -> np.ndarray:
  """Observations in the new order, and in each the other agents in theirs. [R, N, O] -> [R, N, O]."""
  rows, agents = order.shape
  obs = _taken(obs, order)
  if agents == 1:
    return obs
  start, stop = OWN + 2 * agents, OWN + 2 * agents + 2 * (agents - 1)
  others = obs[:, :, start:stop].reshape(rows, agents, agents - 1, 2)
  number = np.stack([np.delete(order, i, axis=1) for i in range(agents)], axis=1)  # [R, N, N - 1]: old numbers
  slot = number - (number > order[:, :, None])  # an observation leaves its own agent out
  obs[:, :, start:stop] = np.take_along_axis(others, slot[..., None], axis=2).reshape(rows, agents, -1)
  return obs
