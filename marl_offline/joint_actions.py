"""Who acts by policy and who as the data did.

The smallest case everywhere: one transition, [N, A]; callers add the batch with vmap, and a ValueError says so to those
who forgot.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

_BATCH = "add the batch with jax.vmap"


def _require_one_transition(data_action: jax.Array, policy_action: jax.Array) -> None:
  if data_action.ndim != 2 or data_action.shape != policy_action.shape:
    shapes = f"{data_action.shape} and {policy_action.shape}"
    raise ValueError(f"actions of one transition, [N, A] both, are wanted, not {shapes}; {_BATCH}")


def replace_k(key: jax.Array, data_action: jax.Array, policy_action: jax.Array, k: jax.Array | int) -> jax.Array:
  """k agents drawn uniformly act by policy, the rest as the data did. [N, A], [N, A] -> [N, A]."""
  _require_one_transition(data_action, policy_action)
  if jnp.ndim(k):
    raise ValueError(f"k is one number, not of shape {jnp.shape(k)}; {_BATCH}")
  rank = jax.random.permutation(key, data_action.shape[0])  # [N]
  return jnp.where((rank < k)[:, None], policy_action, data_action)


def replace_each_k(key: jax.Array, data_action: jax.Array, policy_action: jax.Array) -> jax.Array:
  """replace_k for k = 1..N, each with agents of its own: SPaCQL's a'(k). [N, A], [N, A] -> [K=N, N, A]."""
  _require_one_transition(data_action, policy_action)
  num_agents = data_action.shape[0]
  each_k = jax.vmap(replace_k, in_axes=(0, None, None, 0))
  return each_k(jax.random.split(key, num_agents), data_action, policy_action, jnp.arange(1, num_agents + 1))


def replace_one(data_action: jax.Array, policy_action: jax.Array) -> jax.Array:
  """Row i: agent i alone acts by policy. [N, A], [N, A] -> [N, N, A]."""
  _require_one_transition(data_action, policy_action)
  return jnp.where(np.eye(data_action.shape[0], dtype=bool)[:, :, None], policy_action, data_action)


def subsets(num_agents: int) -> np.ndarray:
  """Every non-empty set of agents, small ones first, as rows of a mask. -> bool [2**N - 1, N]."""
  masks = [np.isin(np.arange(num_agents), members) for k in range(1, num_agents + 1) for members in
           itertools.combinations(range(num_agents), k)]  # fmt: skip
  return np.stack(masks)


def subset_shares(num_agents: int) -> np.ndarray:
  """share[k - 1, q] = 1 / C(N, k) where subset q has size k, else 0: averages over sizes. -> f32 [K=N, 2**N - 1]."""
  of_size = subsets(num_agents).sum(axis=1) == np.arange(1, num_agents + 1)[:, None]
  return (of_size / of_size.sum(axis=1, keepdims=True)).astype(np.float32)


def replace_every_subset(data_action: jax.Array, policy_action: jax.Array) -> jax.Array:
  """Row q: the agents of subsets(N)[q] act by policy. [N, A], [N, A] -> [2**N - 1, N, A]."""
  _require_one_transition(data_action, policy_action)
  return jnp.where(subsets(data_action.shape[0])[:, :, None], policy_action, data_action)


def counterfactual(action: jax.Array, proposals: jax.Array) -> jax.Array:
  """Row (m, i): agent i plays its m-th proposal, the others the data. [N, A], [M, N, A] -> [M, N, N, A]."""
  if action.ndim != 2 or proposals.shape[1:] != action.shape:
    shapes = f"{action.shape} and {proposals.shape}"
    raise ValueError(f"one transition, [N, A], and its proposals, [M, N, A], are wanted, not {shapes}; {_BATCH}")
  return jax.vmap(replace_one, in_axes=(None, 0))(action, proposals)


def flatten(action: jax.Array) -> jax.Array:
  """All agents' actions in one vector, agent by agent. [..., N, A] -> [..., N * A]."""
  return action.reshape(*action.shape[:-2], action.shape[-2] * action.shape[-1])
