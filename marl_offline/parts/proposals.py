"""Actions out of the data for a conservative penalty, each beside the density that it was drawn from."""

import jax
import jax.numpy as jnp

from marl_offline.types import Proposals


def uniform(key: jax.Array, net, actors, batch, config) -> Proposals:
  """num_proposals draws from U[-1, 1] for every agent: the particle tasks' choice. action [B, M, N, A]."""
  del net, actors
  batch_size, num_agents, action_size = batch.action.shape
  shape = (batch_size, config.num_proposals, num_agents, action_size)
  action = jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)
  return Proposals(action, jnp.full(shape[:-1], action_size * jnp.log(0.5)))


def three_sources(key: jax.Array, net, actors, batch, config) -> Proposals:
  """num_proposals draws each from U[-1, 1], around the policies at s and around the policies at s': M = 3 of them.

  Each keeps the density of its own source (the released code swaps the last two), that of the noise before clipping.
  Under batch statistics all 3M are one pass beside the data's actions at s, where that code makes a pass of each source
  and the last stands beside the data's next actions.
  """
  key_uniform, key_now, key_next = jax.random.split(key, 3)
  sources = [
    uniform(key_uniform, net, actors, batch, config),
    _around(key_now, net.actor(actors, batch.obs), config),
    _around(key_next, net.actor(actors, batch.next_obs), config),
  ]
  return jax.tree.map(lambda *parts: jax.lax.stop_gradient(jnp.concatenate(parts, axis=1)), *sources)


def _around(key, action, config) -> Proposals:
  shape = (action.shape[0], config.num_proposals, *action.shape[1:])
  noise = config.proposal_noise * jax.random.normal(key, shape)
  log_prob = jnp.sum(jax.scipy.stats.norm.logpdf(noise, scale=config.proposal_noise), axis=-1)
  return Proposals(jnp.clip(action[:, None] + noise, -1.0, 1.0), log_prob)


PROPOSALS = {"uniform": uniform, "three_sources": three_sources}


def per_transition(num_agents: int, config) -> int:
  """M * N: how many rows of the critic the proposals of one transition are."""
  return {"uniform": 1, "three_sources": 3}[config.proposals] * config.num_proposals * num_agents
