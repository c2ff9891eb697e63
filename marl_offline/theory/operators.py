"""The papers' Bellman operators, exactly, on tables. arXiv:2511.07629 equations 1, 3, 4.

Targets and subsets are the shipped ones, not copies: what holds here holds for what trains. So backups are constant
under gradient, as targets are: a modulus of contraction is to be measured on pairs of tables, not by differentiation.
Agents count from 0, numbers of them from 1.
"""

import jax
import jax.numpy as jnp
import numpy as np

from marl_offline import joint_actions, losses
from marl_offline.theory.dec_mdp import DecMDP


def mixed_policy(behavior: jax.Array, policy: jax.Array, replaced: np.ndarray) -> jax.Array:
  """Agents in `replaced` act by policy, the others as the behavior's marginal over them: equation 10.

  behavior [S, U, .., U], policy [N, S, U], replaced bool [N] -> [S, U, .., U].
  """
  num_agents = behavior.ndim - 1
  gone = tuple(i + 1 for i in range(num_agents) if replaced[i])
  mixed = jnp.sum(behavior, axis=gone, keepdims=True)
  for i in range(num_agents):
    if replaced[i]:
      own_axis = [1] * num_agents
      own_axis[i] = policy.shape[-1]
      mixed = mixed * policy[i].reshape(policy.shape[1], *own_axis)
  return mixed


def subset_values(behavior: jax.Array, policy: jax.Array, q: jax.Array) -> jax.Array:
  """E Q(s, a^(C)) for every set C of joint_actions.subsets(N). q [S, U, .., U] -> [S, 2**N - 1]."""
  joint = tuple(range(1, q.ndim))
  subsets = joint_actions.subsets(q.ndim - 1)
  return jnp.stack([jnp.sum(mixed_policy(behavior, policy, chosen) * q, axis=joint) for chosen in subsets], axis=-1)


def partial_values(behavior: jax.Array, policy: jax.Array, q: jax.Array) -> jax.Array:
  """V^(k)(s), the mean over all sets of k agents. q [S, U, .., U] -> [S, K=N]."""
  return subset_values(behavior, policy, q) @ joint_actions.subset_shares(q.ndim - 1).T


def _backup(game: DecMDP, value: jax.Array) -> jax.Array:
  """r + gamma E V(s'). value [S] -> [S, U, .., U]."""
  return losses.td_target(game.reward, jnp.full_like(game.reward, game.gamma), game.transition @ value)


def individual_backup(game: DecMDP, behavior: jax.Array, policy: jax.Array, q: jax.Array, agent: int) -> jax.Array:
  """T_i^ind Q: equation 1; agent i alone by policy. agent: a number, static under jit.

  Raises:
    ValueError: agent is not one of 0..N-1.
  """
  if not 0 <= agent < game.num_agents:
    raise ValueError(f"agent={agent} is none of the game's agents 0 to {game.num_agents - 1}")
  return _backup(game, subset_values(behavior, policy, q)[:, agent])


def partial_backup(game: DecMDP, behavior: jax.Array, policy: jax.Array, q: jax.Array, k: int) -> jax.Array:
  """T^(k) Q: equation 3. k: a number, static under jit.

  Raises:
    ValueError: k is not one of 1..N.
  """
  if not 1 <= k <= game.num_agents:
    raise ValueError(f"k={k} agents are not to be had; k is 1 to {game.num_agents}")
  return _backup(game, partial_values(behavior, policy, q)[:, k - 1])


def soft_partial_backup(
  game: DecMDP, behavior: jax.Array, policy: jax.Array, q: jax.Array, weight: jax.Array
) -> jax.Array:
  """T^SP Q: equation 4 with weights [S, K] of the next state, held fixed while Q moves."""
  values = partial_values(behavior, policy, q)
  nothing, whole = jnp.zeros(values.shape[:1]), jnp.ones(values.shape[:1])
  return _backup(game, losses.partial_replacement_target(nothing, whole, values[None], weight))
