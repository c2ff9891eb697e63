"""The gradient of an ensemble's loss, cut as suits the device (execution.py)."""

import jax
import jax.numpy as jnp

from marl_offline import execution
from marl_offline.networks import ensemble


def mean_in_blocks(function, rows, at_most: int | None):
  """function is a mean over the leading axis of rows: computes it block by block. -> a tree like function's.

  One block's arrays are gone before the next's are made, gradients included, where function takes them.
  """
  total = jax.tree.leaves(rows)[0].shape[0]
  size = execution.block_size(total, at_most)
  if size == total:
    return function(rows)
  whole = total // size * size
  blocks = jax.tree.map(lambda x: x[:whole].reshape(-1, size, *x.shape[1:]), rows)
  kinds = jax.eval_shape(function, jax.tree.map(lambda x: x[0], blocks))
  zero = jax.tree.map(lambda kind: jnp.zeros(kind.shape, kind.dtype), kinds)

  def add(mean, block):
    return jax.tree.map(lambda m, x: m + size / total * x, mean, function(block)), None

  mean, _ = jax.lax.scan(add, zero, blocks)
  if whole == total:
    return mean
  rest = function(jax.tree.map(lambda x: x[whole:], rows))
  return jax.tree.map(lambda m, x: m + (total - whole) / total * x, mean, rest)


def rows_second(tree):
  """[E, B, ...] -> [B, E, ...], and back."""
  return jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), tree)


def members_gradient(loss, members, rows, cut: execution.Execution, rows_each: int, *own):
  """Gradient of loss and its metrics. -> gradient [E, ...], metrics.

  Args:
    loss: members [e, ...], rows [b, ...], *own [e, b, ...] -> the sum over members of means over rows, and metrics that
      are means over both; so it may be asked of some members and some rows at a time.
    members: [E, ...].
    rows: a tree of arrays [B, ...].
    cut: how.
    rows_each: into how many rows of the network an entry of B unfolds, at most.
    own: trees of arrays [E, B, ...]: what each member has for itself of every row, such as a target of its own.
  """
  at_most = None if cut.rows_at_once is None else cut.rows_at_once // rows_each

  def gradient(some, own, rows):
    def of_block(block):
      rows, own = block[0], rows_second(block[1])
      return jax.grad(loss, has_aux=True)(some, rows, *own)

    return mean_in_blocks(of_block, (rows, rows_second(own)), at_most)

  def of_one(one, rows):
    gradients, metrics = gradient(*jax.tree.map(lambda x: x[None], one), rows)
    return jax.tree.map(lambda x: x[0], gradients), metrics

  if not cut.in_turn:
    return gradient(members, own, rows)
  gradients, metrics = ensemble.apply_members_in_turn(of_one)((members, own), rows)
  return gradients, jax.tree.map(lambda x: jnp.mean(x, axis=0), metrics)
