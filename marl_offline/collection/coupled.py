"""Behavior whose agents are coupled to a chosen degree while each agent by itself acts as ever.

At every step all agents act by one draw with probability c, and each by a draw of its own with probability 1 - c:

  mu_c = c D + (1 - c) P,   D: all agents take the same draw,   P: every agent draws for itself.

An agent's own draw has one law in D and in P, so the marginals mu_i, and their product P, are the same for every c:
only the correlation changes. SPaCQL's maximal excess correlation (arXiv:2511.07629 definition 1) is then

  kappa = sup_s TV(mu_c(.|s), P) = c sup_s TV(D, P), because mu_c - P = c (D - P).

Uniform actions: kappa = c. D lives where all agents' actions are equal, a set to which P gives no mass: TV(D, P) = 1,
at every state, for two agents or more. On a grid of m cells an agent TV = c (1 - m^(1 - N)), which tends to c.
Gaussian noise around a policy's mean: the same as long as nothing is clipped. The clip to [-1, 1] puts mass of D and of
P on the same corners, so that kappa <= c there, with equality in the limit of noise that does not reach the bounds.

One draw for all, and not, say, one of a few joint actions, because it needs no constant and is the same for any N. The
states that are seen change with c too: at c = 1 the agents move side by side.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np


def draw(one: Callable, key: jax.Array, shape: tuple[int, ...], probability: jax.Array) -> jax.Array:
  """[..., N, A] of draws: along N all the same with `probability`, else all their own.

  one: key, shape -> independent draws. probability in [0, 1], of each of the leading entries by itself.
  """
  key_together, key_shared, key_own = jax.random.split(key, 3)
  together = jax.random.bernoulli(key_together, probability, (*shape[:-2], 1, 1))
  return jnp.where(together, one(key_shared, (*shape[:-2], 1, shape[-1])), one(key_own, shape))


def excess_correlation(joint: np.ndarray) -> float:
  """TV(mu, product of its marginals) = 1/2 sum |mu - prod_i mu_i| at one state; kappa is its supremum over states.

  joint: mu as a table with an axis an agent, non-negative, summing to 1. -> in [0, 1].

  Raises:
    ValueError: it is no probability table.
  """
  joint = np.asarray(joint, np.float64)
  if joint.ndim < 1 or (joint < 0).any() or abs(joint.sum() - 1.0) > 1e-6:
    raise ValueError("joint must be non-negative and sum to 1")
  product = np.ones(())
  for agent in range(joint.ndim):
    others = tuple(axis for axis in range(joint.ndim) if axis != agent)
    product = np.multiply.outer(product, joint.sum(axis=others))
  return float(0.5 * np.abs(joint - product).sum())
