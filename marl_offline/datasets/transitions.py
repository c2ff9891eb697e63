"""Episodes as arrays, and rows of them as Transitions."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from marl_offline.datasets.episodes import Episodes
from marl_offline.types import Transition

TEAM_REWARDS = ("mean", "first_agent")


@struct.dataclass
class Dataset:
  """A data set on the device, an argument of jit, never closed over; or, too large for it, mapped on the host."""

  obs: jax.Array  # [R, N, O]
  action: jax.Array  # [R, N, A]
  reward: jax.Array  # [R] of the team
  agent_reward: jax.Array  # [R, N] each agent's own, whatever the team's is; N numbers beside the N * O of obs
  terminated: jax.Array  # [R] bool
  last: jax.Array  # [R] bool, the row ends an episode
  episode: jax.Array  # [R] int32, which one the row belongs to
  final_obs: jax.Array  # [P, N, O]
  final_action: jax.Array  # [P, N, A]
  state: jax.Array | None = None  # [R, S]; None: the observations are the state
  final_state: jax.Array | None = None  # [P, S]
  to_draw: jax.Array | None = None  # [D] int32, the rows that may be drawn; None: all

  @property
  def num_rows(self) -> int:
    """R, environment steps."""
    return self.obs.shape[0]

  @property
  def num_to_draw(self) -> int:
    """D, rows that may be drawn: R, but for those whose next action nobody knows."""
    return self.num_rows if self.to_draw is None else self.to_draw.shape[0]

  def rows_at(self, places: jax.Array) -> jax.Array:
    """The rows at places of 0..D-1 among those that may be drawn. [...] int -> [...] int."""
    return places if self.to_draw is None else self.to_draw[places]


def from_episodes(episodes: Episodes, team_reward: str = "mean", place: Callable = jnp.array) -> Dataset:
  """A data set to draw from.

  Args:
    episodes: what storage.load gives.
    team_reward: the one reward of the team: "mean" over agents, whose sum is the return that we report, or
      "first_agent", which the released code of CFCQL and SPaCQL trains on.
    place: where arrays go. jnp.array copies to the device (an alias of a memory map would change with the file);
      np.asarray leaves them mapped on the host, to be fed (feeding.py).

  Raises:
    ValueError: an unknown team_reward.
  """
  if team_reward not in TEAM_REWARDS:
    raise ValueError(f"team_reward={team_reward!r} is unknown; known are {', '.join(TEAM_REWARDS)}")
  last, to_draw = episodes.last(), episodes.rows_to_draw()
  episodes = episodes.without_repeated_state()  # half of what such a data set takes, and of each batch's rows
  reward = np.mean(episodes.reward, axis=1) if team_reward == "mean" else episodes.reward[:, 0]
  return Dataset(
    obs=place(episodes.obs),
    action=place(episodes.action),
    reward=place(reward),
    agent_reward=place(episodes.reward),
    terminated=place(episodes.terminated),
    last=place(last),
    episode=place((np.cumsum(last, dtype=np.int32) - last).astype(np.int32)),
    final_obs=place(episodes.final_obs),
    final_action=place(episodes.final_action),
    state=None if episodes.state is None else place(episodes.state),
    final_state=None if episodes.final_state is None else place(episodes.final_state),
    to_draw=None if to_draw is None else place(to_draw),
  )


def gather(dataset: Dataset, rows: jax.Array) -> Transition:
  """The transitions that begin at rows. rows [...] int -> Transition [...]. Pure; index gathers only, of JAX arrays in
  JAX and of NumPy arrays in NumPy.

  What follows a row is row + 1, or the episode's final_* where the row ends it. discount is 0 where the task
  terminated, 1 elsewhere, at a time limit too. Rows that Dataset.to_draw leaves out come with a stand-in next action.
  """
  xp = jnp if isinstance(dataset.obs, jax.Array) else np
  last, episode = dataset.last[rows], dataset.episode[rows]
  after = xp.minimum(rows + 1, dataset.num_rows - 1)  # the very last row has no successor; it is an end, so unused

  def following(field, final):
    ends = last.reshape(last.shape + (1,) * (field.ndim - 1))
    return xp.where(ends, final[episode], field[after])

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
    agent_reward=dataset.agent_reward[rows],
    discount=1 - dataset.terminated[rows].astype(np.float32),
    next_state=next_state,
    next_obs=next_obs,
    next_action=following(dataset.action, dataset.final_action),
  )
