"""However a batch is cut, the gradient is that of the whole."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marl_offline import execution, losses
from marl_offline.algorithms import spacql
from marl_offline.execution import Execution
from marl_offline.parts import blocks, joint_critic
from tests import games


@pytest.mark.parametrize("rows_at_once", [1, 2, 5, 16])
def test_a_mean_in_blocks_is_the_mean(rows_at_once):
  rows = {"x": jnp.arange(14.0), "y": jnp.ones((14, 2))}
  mean = blocks.mean_in_blocks(lambda r: (jnp.mean(r["x"] ** 2), jnp.mean(r["y"], 0)), rows, rows_at_once)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), mean, (13 * 27 / 6, np.ones(2)))


@pytest.mark.parametrize(
  ("rows", "at_most", "size"), [(1024, 34, 32), (256, 17, 16), (997, 34, 34), (12, 1, 1), (12, 0, 1), (5, None, 5)]
)
def test_block_size(rows, at_most, size):
  assert execution.block_size(rows, at_most) == size


@pytest.mark.parametrize("cut", [Execution(True, None, True), Execution(False, 5, False), Execution(True, 4, True)])
def test_each_member_meets_what_is_its_own_of_each_row(cut):
  """sum_e mean_b own[e, b] m_e x_b: the gradient of m_e is the mean of own[e, b] x_b."""
  x, own = jnp.arange(1.0, 13.0), jax.random.normal(jax.random.key(0), (3, 12))

  def loss(members, rows, own):
    product = own * members[:, None] * rows
    return jnp.sum(jnp.mean(product, axis=1)), {"mean": jnp.mean(product)}

  members = jnp.array([1.0, -2.0, 0.5])
  gradient, metrics = blocks.members_gradient(loss, members, x, cut, 1, own)
  np.testing.assert_allclose(gradient, np.mean(np.asarray(own) * np.asarray(x), axis=1), rtol=1e-5)
  np.testing.assert_allclose(metrics["mean"], np.mean(own * members[:, None] * x), rtol=1e-5)


@pytest.mark.parametrize("normalization", ["batch", "data", "layer"])
@pytest.mark.parametrize(
  "cut", [Execution(True, None, True), Execution(False, 24, False), Execution(True, 36, True)]
)  # 36: 6 + 6 + 4
def test_cuts_leave_the_gradient_of_the_conservative_loss_as_it_is(normalization, cut):
  spec = games.tiny_spec()
  config = dataclasses.replace(
    spacql.Config(), hidden_size=8, ensemble_size=3, batch_size=16, num_proposals=2, normalization=normalization
  )
  net = joint_critic.build(spec, config)
  critics, batch = jax.jit(net.init)(jax.random.key(0)).critics, games.random_batch(spec, jax.random.key(1))
  ood = jax.random.uniform(jax.random.key(2), (16, 2, 3, 2), minval=-1.0)
  data = net.inputs.queries(batch.state, batch.action[:, None])
  rows = data, net.inputs.counterfactual(batch.state, batch.action, ood), batch.reward

  def loss(critics, rows):
    data, proposed, target = rows
    q, q_ood = net.critic(critics, *data)[..., 0], net.counterfactual(critics, *proposed)
    gap, td = losses.counterfactual_gap(q_ood, 0.0, q, 1 / 3), jnp.square(q - target)
    return jnp.sum(jnp.mean(td + gap, axis=1)), {"td": jnp.mean(td), "gap": jnp.mean(gap)}

  both = jax.jit(lambda c: (jax.grad(loss, has_aux=True)(c, rows), blocks.members_gradient(loss, c, rows, cut, 6)))(
    critics
  )
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), *both)
