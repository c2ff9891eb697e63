"""A scripted expert of spread whose roles are fixed: agent i drives to landmark i, whoever stands nearer.

The learned expert of v1 shares its network among the agents, and they take whatever landmark is free; its returns are
525 with a standard deviation of 86. Agents with networks of their own, as behind the published data, tend to roles,
and this player has nothing else. With GAIN, DRAG and STD its returns are 527 +- 71, those published 531 +- 71.

Uncoordinated play, for any number of agents: in each episode each agent, by a draw of its own, is skilled with
probability SKILLED and plays the script, and else plays uniformly. What one agent can do is in three episodes of ten,
for any n; what all of them can do together in SKILLED^n of them: 2.7 % of n = 3, one in 1,400 of n = 6, one in 170,000
of n = 10.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

GAIN, DRAG, STD = 6.0, 2.0, 0.3
SKILLED = 0.3
WORDS = f"script: agent i plays tanh({GAIN:g} (landmark i - own position) - {DRAG:g} own velocity)"


class FixedRoles(NamedTuple):
  """The player's numbers, in the place of an actor's weights."""

  gain: float = GAIN
  drag: float = DRAG
  std: float = STD  # of the noise on its actions


def mean_action(player: FixedRoles, obs: jax.Array) -> jax.Array:
  """tanh(gain (l_i - p_i) - drag v_i) from spread's observations. obs [..., N, O] -> [..., N, A].

  An observation begins with the own velocity and position, then come all landmarks, seen from the agent.
  """
  num_agents = obs.shape[-2]
  landmark = obs[..., 4 : 4 + 2 * num_agents].reshape(*obs.shape[:-1], num_agents, 2)  # [..., N, N, 2]
  own = jnp.stack([landmark[..., i, i, :] for i in range(num_agents)], axis=-2)
  return jnp.tanh(player.gain * own - player.drag * obs[..., :2])
