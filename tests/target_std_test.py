"""target_std of CFCQL and ICQL-QS: how far the target's members lie apart at the target's joint actions."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marl_offline import joint_actions
from marl_offline.algorithms import cfcql, icql_qs
from marl_offline.parts import joint_critic
from tests import games

SMALL = {"hidden_size": 8, "ensemble_size": 3, "batch_size": 16, "num_proposals": 2, "target_noise": 0.0}


@pytest.mark.parametrize("module", [cfcql, icql_qs])
def test_it_is_the_members_std_at_the_targets_actions_and_zero_for_one_member_thrice(module):
  spec = games.tiny_spec()
  config = dataclasses.replace(module.Config(), **SMALL)
  net, learner = joint_critic.build(spec, config), module.make(spec, config)
  state, batch = jax.jit(learner.init)(jax.random.key(0)), games.random_batch(spec, jax.random.key(1))
  policy = net.actor(state.target_actors, batch.next_obs)  # [B, N, A]
  mixed = policy[:, None] if module is cfcql else jax.vmap(joint_actions.replace_one)(batch.next_action, policy)
  next_q = np.asarray(net.critic(state.target_critics, *net.inputs.queries(batch.next_state, mixed)))  # [E, B, Q]
  expected = np.sqrt(((next_q - next_q.mean(axis=0)) ** 2).mean(axis=0)).mean()
  update = jax.jit(learner.update)
  _, metrics = update(state, batch, jax.random.key(2), 1)
  np.testing.assert_allclose(metrics["target_std"], expected, rtol=1e-4)
  assert expected > 0.01
  alike = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[:1], leaf.shape), state.target_critics)
  _, metrics = update(state.replace(target_critics=alike), batch, jax.random.key(2), 1)
  assert metrics["target_std"] < 1e-6
