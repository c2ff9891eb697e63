import jax
import jax.numpy as jnp
import numpy as np

from marl_offline import losses


def test_disagreement_and_agreement_weights_by_hand():
  # k=1: 1, 3: mean 2, std 1.  k=2: 4, 8: mean 6, std 2.  1/1 : 1/2 -> 2/3, 1/3.
  q = jnp.array([[[1.0, 4.0]], [[3.0, 8.0]]])  # [E=2, B=1, K=2]
  np.testing.assert_allclose(losses.disagreement(q), [[1.0, 2.0]], rtol=1e-6)
  np.testing.assert_allclose(losses.agreement_weights(q), [[2 / 3, 1 / 3]], rtol=1e-6)
  np.testing.assert_allclose(losses.inverse_weights(jnp.array([1.0, 2.0])), [2 / 3, 1 / 3], rtol=1e-6)


def test_relative_disagreement_by_hand():
  # members value the state 0 and 10; action 1 adds 1 and 3 to that (std 1), action 2 adds 2 and -4 (std 3)
  q = jnp.array([[0.0, 1.0, 2.0], [10.0, 13.0, 6.0]])
  np.testing.assert_allclose(losses.relative_disagreement(q), [0.0, 1.0, 3.0], rtol=1e-6)
  np.testing.assert_allclose(losses.disagreement(q), [5.0, 6.0, 2.0], rtol=1e-6)
  shifted = q + jnp.array([[100.0], [-7.0]])  # a value of the state, whatever it is, changes nothing
  np.testing.assert_allclose(losses.relative_disagreement(shifted), [0.0, 1.0, 3.0], rtol=1e-5)


def test_disagreement_has_a_gradient_where_members_agree_too():
  q = jnp.array([[0.0, 1.0, 2.0], [10.0, 13.0, 6.0]])
  # of u = |q_1 - q_2| / 2, by the first member: sign / 2; of what is measured from itself: none
  np.testing.assert_allclose(jax.grad(lambda q: losses.disagreement(q).sum())(q)[0], [-0.5, -0.5, -0.5], rtol=1e-6)
  relative = jax.grad(lambda q: losses.relative_disagreement(q).sum())(q)
  np.testing.assert_allclose(relative[0], [0.0, -0.5, 0.5], rtol=1e-6)  # +0.5 and -0.5 of entry 0 cancel
  for lost in (jnp.nan, jnp.inf):  # a member that diverged is no member that agrees
    assert np.isnan(losses.disagreement(q.at[0, 1].set(lost))).tolist() == [False, True, False]
  for same in (jnp.ones((3, 2)), q[:1]):  # members that agree, and one alone
    np.testing.assert_array_equal(jax.grad(lambda q: losses.disagreement(q).sum())(same), 0.0)


def test_members_that_agree_exactly_share_alike():
  np.testing.assert_allclose(losses.agreement_weights(jnp.ones((4, 3))), [1 / 3] * 3, rtol=1e-6)


def test_full_agreement_on_one_k_takes_nearly_all():
  weight = losses.agreement_weights(jnp.array([[1.0, 0.0], [1.0, 2.0]]))  # std 0 (floor 1e-6) and 1
  np.testing.assert_allclose(weight, [1.0, 1e-6], rtol=1e-5)
  assert np.all(np.isfinite(jax.grad(lambda u: losses.inverse_weights(u)[0])(jnp.array([0.0, 1.0]))))


def test_agreement_weights_are_constant_under_gradient_where_members_agree_too():
  for q in (jnp.ones((4, 3)), jnp.arange(12.0).reshape(4, 3) ** 2):
    np.testing.assert_array_equal(jax.grad(lambda q: losses.agreement_weights(q)[0])(q), 0.0)


def test_sharpness_is_a_power_of_the_disagreement():
  # u = 1, 2: p = 0 weighs alike; p = 2: 1 : 1/4 = 4/5, 1/5; p = 10: 1 : 1/1024
  u = jnp.array([1.0, 2.0])
  np.testing.assert_allclose(losses.inverse_weights(u, 0.0), [0.5, 0.5], rtol=1e-6)
  np.testing.assert_allclose(losses.inverse_weights(u, 2.0), [0.8, 0.2], rtol=1e-6)
  np.testing.assert_allclose(losses.inverse_weights(u, 10.0), [1024 / 1025, 1 / 1025], rtol=1e-5)
  assert np.all(np.isfinite(losses.inverse_weights(jnp.array([0.0, 1e6]), 100.0)))


def test_advantage_weights_by_hand():
  # exp(0) = 1, exp(log 2 / (1/3)) = 8, exp(3 * 50) is cut at 100
  advantage = jnp.array([0.0, np.log(2.0), 50.0])
  np.testing.assert_allclose(losses.advantage_weights(advantage, 1 / 3, 100.0), [1.0, 8.0, 100.0], rtol=1e-5)
  assert np.all(np.isfinite(losses.advantage_weights(jnp.array([-1e9, 1e9]), 1.0, 100.0)))


def test_softmax_weights_by_hand():
  # exp(value / 2) = 1, 1, 4: 3 * (1/6, 1/6, 4/6); a constant beside the values changes nothing
  value = 2 * jnp.log(jnp.array([1.0, 1.0, 4.0]))
  np.testing.assert_allclose(losses.softmax_weights(value, 2.0), [0.5, 0.5, 2.0], rtol=1e-6)
  np.testing.assert_allclose(losses.softmax_weights(value + 300.0, 2.0), [0.5, 0.5, 2.0], rtol=1e-4)


def test_effective_share_by_hand():
  np.testing.assert_allclose(losses.effective_share(jnp.full(4, 2.0)), 1.0)
  np.testing.assert_allclose(losses.effective_share(jnp.array([5.0, 0.0, 0.0, 0.0])), 0.25)
  np.testing.assert_allclose(losses.effective_share(jnp.array([3.0, 1.0])), 0.8)  # 4 / 5
  assert losses.effective_share(jnp.zeros(4)) == 0.0
  for scale in (1e-20, 1e-7, 1e20):  # AWAC's weights are exponentials of differences of Q: no size is odd
    np.testing.assert_allclose(losses.effective_share(scale * jnp.array([3.0, 1.0])), 0.8, rtol=1e-6)


# agent 1's action is four times as likely as agent 2's: ratios pi / mu of 2 and 8, at temperature 1/2 weights
# 2^(1/2) : 8^(1/2) = 1 : 2
LOG_BEHAVIOR = jnp.log(jnp.array([[0.5, 0.125]]))  # [B=1, N=2]


def test_deviation_weights_by_hand():
  weight = losses.deviation_weights(0.0, LOG_BEHAVIOR, 0.5)
  np.testing.assert_allclose(weight, [[1 / 3, 2 / 3]], rtol=1e-6)
  np.testing.assert_allclose(losses.deviation_weights(7.0, LOG_BEHAVIOR, 0.5), weight, rtol=1e-5)  # log pi cancels
  each = losses.deviation_weights(jnp.log(jnp.array([1.0, 0.25])), LOG_BEHAVIOR, 0.5)  # ratios 2 and 2
  np.testing.assert_allclose(each, [[0.5, 0.5]], rtol=1e-6)


def test_deviation_weights_lie_between_uniform_and_one_hot():
  log_behavior = jnp.array([[-1.0, -3.0, 0.5], [2.0, 1.9, 2.1]])
  uniform = losses.deviation_weights(0.0, log_behavior, 0.0)
  np.testing.assert_allclose(uniform, np.full((2, 3), 1 / 3), rtol=1e-6)
  np.testing.assert_allclose(losses.deviation_weights(0.0, log_behavior, 1e-6), uniform, rtol=1e-5)
  one_hot = losses.most_deviating(0.0, log_behavior)
  np.testing.assert_array_equal(one_hot, [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
  np.testing.assert_allclose(losses.deviation_weights(0.0, log_behavior, 1e4), one_hot, atol=1e-6)


def test_most_deviating_takes_the_first_of_level_agents():
  np.testing.assert_array_equal(losses.most_deviating(0.0, jnp.array([3.0, 1.0, 1.0])), [0.0, 1.0, 0.0])
  assert losses.most_deviating(0.0, jnp.zeros(3, jnp.bfloat16)).dtype == jnp.bfloat16


def test_no_gradient_flows_through_agent_weights():
  for weigh in (lambda a, b: losses.deviation_weights(a, b, 2.0), losses.most_deviating):
    gradient = jax.grad(lambda a, b: weigh(a, b)[0, 0], argnums=(0, 1))(0.1, LOG_BEHAVIOR)  # noqa: B023
    jax.tree.map(lambda g: np.testing.assert_array_equal(g, 0.0), gradient)
