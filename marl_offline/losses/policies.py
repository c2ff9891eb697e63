"""What a policy climbs or imitates. All are losses, to be made small."""

import chex
import jax
import jax.numpy as jnp


def counterfactual_objective(q: jax.Array) -> jax.Array:
  """-mean_i Q(s, pi_i(o_i), a_-i): CFCQL, arXiv:2309.12696 equation 10. q [..., N] -> [...].

  Entry i lets agent i alone leave the data, so that its gradient asks nothing of the others' policies.
  """
  return -jnp.mean(q, axis=-1)


def individual_objective(q: jax.Array) -> jax.Array:
  """-sum_i Q_i(o_i, pi_i(o_i)): independent policies, each climbing its own critic, arXiv:2111.11188.

  q [..., N] -> [...].

  A sum, unlike counterfactual_objective: each agent's gradient is that of its own loss, not a share of the team's.
  """
  return -jnp.sum(q, axis=-1)


def joint_objective(q: jax.Array) -> jax.Array:
  """-Q(s, pi_1(o_1), .., pi_N(o_N)): CFCQL's -CF_P, arXiv:2309.12696 section 4.4 and table 6. [...] -> [...].

  All agents leave the data at once, so that each one's gradient stands beside the others' policies. That paper calls it
  MADDPG's; MADDPG itself, arXiv:1706.02275, takes the others' actions from its replay, like counterfactual_objective.
  """
  return -q


def action_penalty(action: jax.Array) -> jax.Array:
  """sum_i mean_a pi_i^2, a small pull away from the corners of tanh. action [..., N, A] -> [...]."""
  return jnp.sum(jnp.mean(jnp.square(action), axis=-1), axis=-1)


def imitation(action: jax.Array, data_action: jax.Array) -> jax.Array:
  """sum_i mean_a (pi_i(o_i) - a_i)^2: behavior cloning of deterministic policies. [..., N, A] twice -> [...]."""
  chex.assert_equal_shape([action, data_action])
  return action_penalty(action - data_action)


def td3_bc_objective(q: jax.Array, action: jax.Array, data_action: jax.Array, alpha: float) -> jax.Array:
  """-lambda mean_b Q + mean_b sum_i mean_a (pi_i - a_i)^2 with lambda = alpha / mean_b |Q|, constant under gradient.

  TD3+BC, arXiv:2106.06860, of a joint policy: each agent meets the paper's objective, and beside it the others'
  squares, of which its gradient knows nothing. lambda is made of the policies' own Q, as in the paper's code; its
  equation 5 has
  the Q of the data's actions there. q [B] at the policies' joint action, [B, N, A] twice -> [].
  """
  scale = jax.lax.stop_gradient(alpha / jnp.maximum(jnp.mean(jnp.abs(q)), 1e-6))
  return jnp.mean(imitation(action, data_action)) - scale * jnp.mean(q)


def gaussian_log_prob(mean: jax.Array, log_std: jax.Array, action: jax.Array) -> jax.Array:
  """log N(a; mean, diag exp(2 log_std)), summed over the action's numbers. [..., A] thrice -> [...]."""
  chex.assert_equal_shape([mean, log_std, action])
  standardised = (action - mean) * jnp.exp(-log_std)  # exp(2 log_std) underflows, and its gradient sooner
  return jnp.sum(jax.scipy.stats.norm.logpdf(standardised) - log_std, axis=-1)


def weighted_likelihood(weight: jax.Array, log_prob: jax.Array) -> jax.Array:
  """-w sum_i log pi_i(a_i | o_i), w constant under gradient: the likelihood of a policy that factorises over agents.

  AWAC, arXiv:2006.09359 equation 13; IQL, arXiv:2110.06169 equation 7; ICQ, arXiv:2106.03400.
  weight [...] of the joint action, log_prob [..., N] -> [...].
  """
  chex.assert_equal_shape([weight, log_prob[..., 0]])
  return -jax.lax.stop_gradient(weight) * jnp.sum(log_prob, axis=-1)


def soft_refit(action: jax.Array, q: jax.Array) -> tuple[jax.Array, jax.Array]:
  """OMAR's next Gaussian, arXiv:2111.11188 equation 3: every proposal counts by exp Q in the mean.

  mu = sum_m softmax_m(q^m) a^m, sigma = sqrt(mean_m (a^m - mu)^2) around that mu, in each number of the action.
  action [..., M, N, A], q [..., M, N] -> mu and sigma [..., N, A].
  """
  chex.assert_equal_shape([action[..., 0], q])
  mean = jnp.sum(jax.nn.softmax(q, axis=-2)[..., None] * action, axis=-3)
  return mean, jnp.sqrt(jnp.mean(jnp.square(action - mean[..., None, :, :]), axis=-3))


def highest(action: jax.Array, q: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
  """Each agent's `count` proposals of highest value, the best first: the elites of OMAR's released code.

  action [..., M, N, A], q [..., M, N] -> the same with M = count.
  """
  chex.assert_equal_shape([action[..., 0], q])
  order = jnp.argsort(-q, axis=-2)[..., :count, :]
  return jnp.take_along_axis(action, order[..., None], axis=-3), jnp.take_along_axis(q, order, axis=-2)


def best_proposal(action: jax.Array, q: jax.Array) -> jax.Array:
  """argmax_m q^m of each agent, the first of equals; constant under gradient. OMAR's a_hat, arXiv:2111.11188
  algorithm 1 line 12. action [..., M, N, A], q [..., M, N] -> [..., N, A]."""
  return jax.lax.stop_gradient(highest(action, q, 1)[0][..., 0, :, :])
