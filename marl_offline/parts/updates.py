"""Steps in parameter space."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax


def clipped_adam(learning_rate: float, max_grad_norm: float) -> optax.GradientTransformation:
  """Adam after clipping the gradient's global norm, as the original code trains actors and critics."""
  return optax.chain(optax.clip_by_global_norm(max_grad_norm), optax.adam(learning_rate))


def gradient_step(optimizer: optax.GradientTransformation, params, opt_state, gradient):
  """One descent step -> params, opt_state."""
  change, opt_state = optimizer.update(gradient, opt_state, params)
  return optax.apply_updates(params, change), opt_state


def global_norm(tree) -> jax.Array:
  """Root of the sum of squares over all leaves. -> []."""
  return jnp.sqrt(sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(tree)))


def polyak(target, online, tau: float):
  """(1 - tau) * target + tau * online, leaf by leaf."""
  return jax.tree.map(lambda old, new: old + tau * (new - old), target, online)


def every(period: int, step: jax.Array, phase: int, move: Callable, state):
  """move(state) where step % period == phase, else state unchanged. move: state -> state, metrics.

  The metrics are zero where nothing moved and `period` times their value where it did, so that their mean over whole
  periods is their mean over the moves. `step` must not be batched: under vmap, cond would run both branches.
  """

  def moved(state):
    state, metrics = move(state)
    return state, jax.tree.map(lambda x: period * x, metrics)

  def rested(state):
    _, metrics = jax.eval_shape(move, state)
    return state, jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), metrics)

  return jax.lax.cond(step % period == phase, moved, rested, state)


def in_two_phases(length: int, step: jax.Array, first: Callable, second: Callable, state):
  """first(state) while step < length, second(state) from then on. Both: state -> state, metrics of names of their own.

  The metrics of both are there at every step, zero in the other's phase. As in `every`, step must not be batched.
  """

  def alone(move, other):
    def moved(state):
      state, metrics = move(state)
      _, absent = jax.eval_shape(other, state)
      return state, metrics | jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), absent)

    return moved

  return jax.lax.cond(step < length, alone(first, second), alone(second, first), state)
