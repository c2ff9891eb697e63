"""Tiny Specs and batches, and games whose answer is known."""

import jax
import jax.numpy as jnp

from marl_offline.types import Normalizer, Spec, Transition


def tiny_spec(num_agents=3, obs_size=4, action_size=2) -> Spec:
  """States are the observations in a row; the normalizer is not the identity."""
  state_size = num_agents * obs_size
  obs = (num_agents, obs_size)
  normalizer = Normalizer(jnp.full(obs, 0.1), jnp.full(obs, 2.0), jnp.full(state_size, 0.1), jnp.full(state_size, 2.0))
  return Spec(num_agents, obs_size, action_size, state_size, normalizer)


def random_batch(spec: Spec, key, batch_size=16) -> Transition:
  """Normal observations, uniform actions, some true ends; each agent's reward is normal, the team's their mean."""
  keys = jax.random.split(key, 6)
  obs = jax.random.normal(keys[0], (batch_size, spec.num_agents, spec.obs_size))
  next_obs = jax.random.normal(keys[1], obs.shape)
  shape = (batch_size, spec.num_agents, spec.action_size)
  action, next_action = (jax.random.uniform(k, shape, minval=-1.0, maxval=1.0) for k in keys[2:4])
  agent_reward = jax.random.normal(keys[4], (batch_size, spec.num_agents))
  return Transition(
    state=obs.reshape(batch_size, -1),
    obs=obs,
    action=action,
    reward=jnp.mean(agent_reward, axis=-1),
    agent_reward=agent_reward,
    discount=jax.random.bernoulli(keys[5], 0.8, (batch_size,)).astype(jnp.float32),
    next_state=next_obs.reshape(batch_size, -1),
    next_obs=next_obs,
    next_action=next_action,
  )


def meeting_reward(obs, action):
  """One step: every agent has to play its own observation. -sum_i |a_i - o_i|^2, best value 0. [..., N, A] -> [...]."""
  return -jnp.sum(jnp.square(action - obs), axis=(-1, -2))


def pushing_reward(obs, action):
  """One step: every agent has to push where its observation points. sum_i a_i o_i, best value E sum_i |o_i|."""
  return jnp.sum(action * obs, axis=(-1, -2))


def one_step_spec(num_agents=2) -> Spec:
  """Observation and action of one number each."""
  return Spec(num_agents, 1, 1, num_agents, Normalizer.identity(num_agents, 1, num_agents))


def one_step_batch(reward, key, batch_size=256, num_agents=2) -> Transition:
  """Uniform play of a one-step game, observations U[-1/2, 1/2]. reward: obs, action [..., N, 1] -> [...], which every
  agent gets."""
  key_obs, key_action = jax.random.split(key)
  obs = jax.random.uniform(key_obs, (batch_size, num_agents, 1), minval=-0.5, maxval=0.5)
  action = jax.random.uniform(key_action, obs.shape, minval=-1.0, maxval=1.0)
  ends = jnp.zeros(batch_size)
  state, team = obs[..., 0], reward(obs, action)
  own = jnp.repeat(team[:, None], num_agents, axis=1)
  return Transition(state, obs, action, team, own, ends, state, obs, action)
