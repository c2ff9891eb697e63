import jax
import jax.numpy as jnp
import numpy as np

from marl_offline.networks import ensemble
from marl_offline.networks.actors import GaussianActor, TanhActor
from marl_offline.networks.mlp import Linear


def test_initial_weights_lie_in_the_released_ranges():
  params = jax.jit(TanhActor(2, 64).init)(jax.random.key(0), jnp.zeros(9))["params"]
  for name, bound in {"Linear_0": 1 / 3, "Linear_1": 1 / 8}.items():
    for leaf in params[name].values():
      assert bound / 2 < np.abs(leaf).max() <= bound
  assert 1e-3 < np.abs(params["Linear_2"]["weight"]).max() <= 3e-3
  assert np.abs(params["Linear_2"]["bias"]).max() <= 1 / 8


def test_linear_by_hand():
  params = {"params": {"weight": jnp.array([[1.0], [2.0]]), "bias": jnp.array([0.5])}}
  np.testing.assert_allclose(Linear(1).apply(params, jnp.array([3.0, 4.0])), [11.5])  # 3 + 8 + 0.5


def test_agents_have_their_own_parameters_and_observations():
  actor, obs = TanhActor(2, 4), jax.random.normal(jax.random.key(1), (5, 3, 6))  # [B, N, O]
  params = ensemble.init_members(lambda key: actor.init(key, obs[0, 0]), jax.random.key(0), 3)
  action = ensemble.apply_agents(actor.apply)(params, obs)
  assert action.shape == (5, 3, 2)
  for i in range(3):
    own = jax.tree.map(lambda leaf, i=i: leaf[i], params)
    np.testing.assert_allclose(action[:, i], actor.apply(own, obs[:, i]), rtol=1e-6)


def test_members_in_turn_equal_members_at_once():
  def apply(member, x):
    return member * x

  members, x = jnp.arange(3.0), jnp.arange(4.0)
  at_once, in_turn = ensemble.apply_members(apply)(members, x), ensemble.apply_members_in_turn(apply)(members, x)
  np.testing.assert_array_equal(at_once, in_turn)
  np.testing.assert_array_equal(at_once, np.outer(members, x))


def test_gaussian_actor_is_a_tanh_mean_and_a_bounded_deviation_of_its_own():
  actor, obs = GaussianActor(2, 4), 3.0 * jax.random.normal(jax.random.key(1), (5, 6))
  params = actor.init(jax.random.key(0), obs[0])
  mean, log_std = actor.apply(params, obs)
  np.testing.assert_allclose(mean, TanhActor(2, 4).apply({"params": params["params"]["TanhActor_0"]}, obs), rtol=1e-6)
  np.testing.assert_array_equal(log_std, np.zeros((5, 2)))
  far = {"params": params["params"] | {"log_std": jnp.array([-30.0, 5.0])}}
  np.testing.assert_array_equal(actor.apply(far, obs)[1], np.tile([-20.0, 2.0], (5, 1)))
