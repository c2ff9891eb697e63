import jax
import jax.numpy as jnp
import numpy as np

from marl_offline.parts import updates


def test_polyak_by_hand():
  np.testing.assert_allclose(updates.polyak(jnp.array([1.0]), jnp.array([3.0]), 0.25), [1.5])


def test_global_norm_by_hand():
  np.testing.assert_allclose(updates.global_norm({"a": jnp.array([3.0]), "b": jnp.array([[4.0]])}), 5.0)


def test_gradient_step_clips_the_norm_before_adam():
  # Adam's first step is learning_rate times the sign whatever the norm; its second remembers the clipped gradient:
  # gradient 5 is clipped to 0.5, then 0.5 is not, so that both moments see 0.5 twice and the step stays 0.1
  optimizer = updates.clipped_adam(0.1, 0.5)
  params = jnp.array([1.0])
  opt = optimizer.init(params)
  for gradient, expected in ((5.0, 0.9), (0.5, 0.8)):
    params, opt = updates.gradient_step(optimizer, params, opt, jnp.array([gradient]))
    np.testing.assert_allclose(params, [expected], rtol=1e-5)


def test_every_moves_at_its_phase_and_its_metrics_average_right():
  def move(state):
    return state + 1, {"value": jnp.float32(3.0)}

  def one_step(state, step):
    return updates.every(5, step, 4, move, state)

  states, metrics = jax.lax.scan(lambda s, i: (lambda new, m: (new, (new, m)))(*one_step(s, i)), 0, jnp.arange(10))[1]
  np.testing.assert_array_equal(states, [0, 0, 0, 0, 1, 1, 1, 1, 1, 2])
  np.testing.assert_array_equal(metrics["value"], [0, 0, 0, 0, 15, 0, 0, 0, 0, 15])
  assert metrics["value"].mean() == 3.0


def test_every_runs_one_branch_only_under_vmap_over_states():
  def move(state):
    return state + 1, {}

  text = str(jax.make_jaxpr(jax.vmap(lambda s, i: updates.every(5, i, 0, move, s), in_axes=(0, None)))(jnp.zeros(3), 0))
  assert "cond[" in text  # a batched step would have turned it into a select of both branches


def test_in_two_phases_moves_one_and_names_the_metrics_of_both():
  def first(state):
    return state + 1, {"first": jnp.float32(3.0)}

  def second(state):
    return state + 10, {"second": state.astype(jnp.float32)}

  def one_step(state, step):
    state, metrics = updates.in_two_phases(2, step, first, second, state)
    return state, (state, metrics)

  states, metrics = jax.lax.scan(one_step, 0, jnp.arange(4))[1]
  np.testing.assert_array_equal(states, [1, 2, 12, 22])
  np.testing.assert_array_equal(metrics["first"], [3.0, 3.0, 0.0, 0.0])
  np.testing.assert_array_equal(metrics["second"], [0.0, 0.0, 2.0, 12.0])
