import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marl_offline import joint_actions

DATA = jnp.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])  # [N=3, A=2]
POLICY = -DATA


def replaced(action):
  """Which agents act by policy. [..., N, A] -> bool [..., N]."""
  return np.asarray(action)[..., 0] < 0


@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_exactly_k_agents_are_replaced_and_all_alike_often(k):
  keys = jax.random.split(jax.random.key(0), 3000)
  action = jax.vmap(joint_actions.replace_k, in_axes=(0, None, None, None))(keys, DATA, POLICY, k)
  assert np.all(replaced(action).sum(axis=1) == k)
  assert np.all(np.isin(np.abs(action), DATA))
  np.testing.assert_allclose(replaced(action).mean(axis=0), k / 3, atol=0.04)


def test_each_k_draws_its_own_agents():
  keys = jax.random.split(jax.random.key(0), 3000)
  action = jax.vmap(joint_actions.replace_each_k, in_axes=(0, None, None))(keys, DATA, POLICY)  # [., K, N, A]
  np.testing.assert_array_equal(replaced(action).sum(axis=2), np.tile([1, 2, 3], (3000, 1)))
  # independent draws: the agent of k = 1 is among those of k = 2 in two cases of three
  np.testing.assert_allclose((replaced(action)[:, 0] & replaced(action)[:, 1]).any(axis=1).mean(), 2 / 3, atol=0.04)


def test_replace_one_by_hand():
  np.testing.assert_array_equal(replaced(joint_actions.replace_one(DATA, POLICY)), np.eye(3, dtype=bool))


def test_every_subset_by_hand():
  expected = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1]]
  np.testing.assert_array_equal(joint_actions.subsets(3), np.array(expected, bool))
  np.testing.assert_array_equal(replaced(joint_actions.replace_every_subset(DATA, POLICY)), np.array(expected, bool))
  third = 1 / 3
  shares = [[third] * 3 + [0] * 4, [0] * 3 + [third] * 3 + [0], [0] * 6 + [1]]
  np.testing.assert_allclose(joint_actions.subset_shares(3), shares, rtol=1e-6)


def test_counterfactual_by_hand():
  proposals = jnp.stack([10.0 * DATA, 20.0 * DATA])  # [M=2, N, A]
  rows = joint_actions.counterfactual(DATA, proposals)  # [M, N, N, A]
  np.testing.assert_array_equal(rows[1, 2], [[1, 2], [3, 4], [100, 120]])
  np.testing.assert_array_equal(rows[0, 0], [[10, 20], [3, 4], [5, 6]])
  np.testing.assert_array_equal(joint_actions.flatten(rows)[0, 0], [10, 20, 3, 4, 5, 6])


def test_unequal_shapes_are_refused():
  with pytest.raises(ValueError, match="actions of one transition"):
    joint_actions.replace_one(DATA, POLICY[:2])


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_a_batch_without_vmap_is_refused(batch):
  """Of as many transitions as agents, or of one, it would otherwise be taken for something else."""
  action = jnp.zeros((batch, 3, 2))
  for replace in (
    lambda: joint_actions.replace_k(jax.random.key(0), action, action, 1),
    lambda: joint_actions.replace_each_k(jax.random.key(0), action, action),
    lambda: joint_actions.replace_one(action, action),
    lambda: joint_actions.replace_every_subset(action, action),
    lambda: joint_actions.counterfactual(action, jnp.zeros((batch, 5, 3, 2))),
    lambda: joint_actions.counterfactual(action[0], jnp.zeros((batch, 5, 3, 2))),
    lambda: joint_actions.replace_k(jax.random.key(0), action[0], action[0], jnp.arange(batch)),
  ):
    with pytest.raises(ValueError, match=r"add the batch with jax\.vmap"):
      replace()
