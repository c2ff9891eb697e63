"""Bootstrap masks: the loss of each member of an ensemble leaves out rows of its own, the same ones for good.

Whether a member trains on a row is drawn by a generator that is seeded with a hash of what the row holds. So a row
needs no number and nobody keeps the masks, and they are the same in every batch, run and process and on every device.
They are the same for all seeds too. Rows that hold exactly the same are left out together. A row that is left out still
counts in batch statistics, and in the targets of the row before it.
"""

import jax
import jax.numpy as jnp

from marl_offline.types import Transition


def row_hash(batch: Transition) -> jax.Array:
  """sum_j c_j mixed(bits_j) mod 2^32 over the bits of state and joint action, with odd constants c_j. -> uint32 [B].

  Round numbers differ in their highest bits only, which a product modulo 2^32 would keep there: bits are mixed first.
  """
  rows = jnp.concatenate([batch.state, batch.action.reshape(len(batch.state), -1)], axis=1).astype(jnp.float32)
  bits = jax.lax.bitcast_convert_type(jnp.where(rows == 0, 0.0, rows), jnp.uint32)  # [B, S + N A]; -0 is 0
  constants = jax.random.bits(jax.random.key(0), bits.shape[1:], jnp.uint32) | 1
  mixed = (bits ^ (bits >> 16)) * constants
  return jnp.sum((mixed ^ (mixed >> 15)) * constants, axis=1, dtype=jnp.uint32)


def member_weights(batch: Transition, members: int, kept: float) -> jax.Array:
  """m_eb / kept, m_eb ~ Bernoulli(kept) by member and row: as the masks of bootstrapped DQN, arXiv:1602.04621.

  kept in (0, 1] -> [E, B] with mean 1 over the data set, so that no member's loss is scaled.
  """

  def of_row(row):
    return jax.random.uniform(jax.random.fold_in(jax.random.key(1), row), (members,))

  return (jax.vmap(of_row, out_axes=1)(row_hash(batch)) < kept) / jnp.float32(kept)
