"""Episodes as device arrays, and rows of them as Transitions."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from marl_offline.datasets.episodes import Episodes
from marl_offline.types import Transition

TEAM_REWARDS = ("mean", "first_agent")


@struct.dataclass
class Dataset:
  """A data set on the device; an argument of jit, never closed over."""

  obs: jax.Array  # [R, N, O]
  action: jax.Array  # [R, N, A]
  reward: jax.Array  # [R] of the team
  terminated: jax.Array  # [R] bool
  last: jax.Array  # [R] bool, the row ends an episode
  episode: jax.Array  # [R] int32, which one the row belongs to
  final_obs: jax.Array  # [P, N, O]
  final_action: jax.Array  # [P, N, A]
  state: jax.Array | None = None  # [R, S]
  final_state: jax.Array | None = None  # [P, S]

  @property
  def num_rows(self) -> int:
    """R, environment steps."""
    return self.obs.shape[0]


def from_episodes(episodes: Episodes, team_reward: str = "mean") -> Dataset:
  """Copies a data set to the device.

  team_reward says what the one reward of the team is: "mean" over agents, whose sum is the return that we report, or
  "first_agent", which the released code of CFCQL and SPaCQL trains on.

  Raises:
    ValueError: an unknown team_reward.
  """
  if team_reward not in TEAM_REWARDS:
    raise ValueError(f"team_reward={team_reward!r} is unknown; known are {', '.join(TEAM_REWARDS)}")
  last = episodes.last()
  reward = np.mean(episodes.reward, axis=1) if team_reward == "mean" else episodes.reward[:, 0]
  # jnp.array copies: an alias of a memory map would change with the file
  return Dataset(
    obs=jnp.array(episodes.obs),
    action=jnp.array(episodes.action),
    reward=jnp.array(reward),
    terminated=jnp.array(episodes.terminated),
    last=jnp.array(last),
    episode=jnp.array(np.cumsum(last, dtype=np.int32) - last, dtype=jnp.int32),
    final_obs=jnp.array(episodes.final_obs),
    final_action=jnp.array(episodes.final_action),
    state=None if episodes.state is None else jnp.array(episodes.state),
    final_state=None if episodes.final_state is None else jnp.array(episodes.final_state),
  )


def gather(dataset: Dataset, rows: jax.Array) -> Transition:
  """The transitions that begin at rows. rows [...] int -> Transition [...]. Pure; index gathers only.

  What follows a row is row + 1, or the episode's final_* where the row ends it. discount is 0 where the task
  terminated, 1 elsewhere, at a time limit too.
  """
  last, episode = dataset.last[rows], dataset.episode[rows]
  after = jnp.minimum(rows + 1, dataset.num_rows - 1)  # the very last row has no successor; it is an end, so unused

  def following(field, final):
    ends = last.reshape(last.shape + (1,) * (field.ndim - 1))
    return jnp.where(ends, final[episode], field[after])

  obs = dataset.obs[rows]
  next_obs = following(dataset.obs, dataset.final_obs)
  if dataset.state is None:
    state, next_state = (x.reshape(*x.shape[:-2], -1) for x in (obs, next_obs))
  else:
    state, next_state = dataset.state[rows], following(dataset.state, dataset.final_state)
  return Transition(
    state=state,
    obs=obs,
    action=dataset.action[rows],
    reward=dataset.reward[rows],
    discount=1.0 - dataset.terminated[rows].astype(jnp.float32),
    next_state=next_state,
    next_obs=next_obs,
    next_action=following(dataset.action, dataset.final_action),
  )
