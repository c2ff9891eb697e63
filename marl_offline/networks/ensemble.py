"""Members of one kind, stacked on a leading axis."""

import jax

from marl_offline import execution


def init_members(init, key: jax.Array, size: int):
  """`size` independent parameter trees stacked on a leading axis. init: key -> params."""
  return jax.vmap(init)(jax.random.split(key, size))


def apply_members(apply):
  """apply(params, *inputs) -> the same over params [E, ...], inputs shared, output [E, ...]; all members at once."""
  return lambda params, *inputs: jax.vmap(lambda member: apply(member, *inputs))(params)


def apply_members_in_turn(apply):
  """apply_members, one member after the other, a part of them on each of a CPU's cores: it is bound by memory and likes
  one member's arrays in its cache."""

  def in_turn(params, *inputs):
    return jax.lax.map(lambda member: apply(member, *inputs), params)

  def all_members(params, *inputs):
    return execution.shared_out(in_turn, jax.tree.leaves(params)[0].shape[0])(params, *inputs)

  return all_members


def apply_agents(apply):
  """apply(params, x [..., I]) -> the same over params [N, ...] and x [..., N, I], agent by agent: [..., N, F]."""
  return jax.vmap(apply, in_axes=(0, -2), out_axes=-2)
