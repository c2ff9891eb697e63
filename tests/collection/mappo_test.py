"""The learner that makes v1 of the particle tasks, and what it is told: values by hand, and that it learns."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from marl_offline.collection import mappo, online
from marl_offline.environments import particle_tasks

TINY = mappo.Config(copies=64, hidden=16, epochs=2, minibatches=2)


def test_advantages_by_hand():
  # gamma 0.5, trace 0.5. Last step: delta = 4 - 2 = 2. First: delta = 1 + 0.5 * 2 - 3 = -1, plus 0.25 * 2: -0.5.
  reward, value = jnp.array([[[1.0]], [[4.0]]]), jnp.array([[[3.0]], [[2.0]]])
  np.testing.assert_allclose(mappo.advantages(reward, value, 0.5, 0.5)[:, 0, 0], [-0.5, 2.0])


def test_log_density_is_the_gaussian_s():
  actor = {"log_std": jnp.log(jnp.array([[0.5, 2.0]]))}
  mean, action = jnp.array([[0.1, -0.2]]), jnp.array([[0.4, 1.0]])
  expected = scipy.stats.norm.logpdf([0.4, 1.0], [0.1, -0.2], [0.5, 2.0]).sum()
  np.testing.assert_allclose(mappo.log_density(actor, mean, action), [expected], rtol=1e-6)


def test_a_clipped_ratio_gives_the_actor_no_gradient():
  # The new density is far above the old one and the advantage positive: the surrogate is clipped, its gradient zero.
  actor = mappo.init_actor(jax.random.key(0), 1, 3, 4)
  obs = jnp.ones((5, 1, 3))
  action = mappo.mean_action(actor, obs) + 0.1

  def surrogate(actor, shift, advantage):
    critic = [{"w": jnp.zeros((4, 1)), "b": jnp.zeros(1)}]
    log_prob = jax.lax.stop_gradient(mappo.log_density(actor, mappo.mean_action(actor, obs), action)) - shift
    batch = (obs, jnp.zeros((5, 4)), action, log_prob, jnp.full((5, 1), advantage), jnp.zeros((5, 1)))
    return mappo.ppo_loss((actor, critic), batch, dataclasses.replace(TINY, entropy=0.0))

  def size(shift, advantage):
    return sum(jnp.abs(leaf).sum() for leaf in jax.tree.leaves(jax.grad(surrogate)(actor, shift, advantage)))

  assert size(1.0, 1.0) == 0.0  # ratio e, pushed further up: clipped
  assert size(1.0, -1.0) > 0.0  # the same ratio, to come down again: not clipped
  assert size(0.0, 1.0) > 0.0


def test_the_learner_learns():
  config = dataclasses.replace(TINY, copies=128, hidden=32, epochs=4)
  history = online.train(online.as_game(particle_tasks.spread()), config, 30, seed=0)
  assert history.returns[-1, 0] > history.returns[1, 0] + 12
  assert len(history.actors) == 30 // online.CHUNK + 1
  np.testing.assert_array_equal(history.env_steps, 25 * 128 * np.arange(0, 31, online.CHUNK))
  # the noise stays under a line from -0.2 to -1.5: in chunks of two, the last iteration begins at 29 / 30 of it
  for chunk in (1, 8, 15):
    assert (history.actors[chunk][0]["log_std"] < -0.2 - 1.3 * (2 * chunk - 1) / 30 + 1e-6).all()


def test_respond_refuses_what_it_cannot_share_out():
  game = online.as_chase(particle_tasks.tag_scenario())
  with pytest.raises(ValueError, match="copies=64 cannot be shared out among 3 opponents"):
    online.respond(game, TINY, 2, 0, 0, [None, None, None])
  with pytest.raises(ValueError, match="a game of 2 teams; train is for one"):
    online.train(game, TINY, 2, 0)
  with pytest.raises(ValueError, match="iterations=3 must be a positive multiple"):
    online.train(online.as_game(particle_tasks.spread()), TINY, 3, 0)


def test_time_and_copies_stay_apart_where_opponents_are_joined():
  p, t, c = np.meshgrid([1, 2], [10, 20, 30], [100, 200, 300, 400], indexing="ij")
  joined = online.side_by_side({"reward": (p + t + c)[..., None]})["reward"]
  expected = [[p + t + c for p in (1, 2) for c in (100, 200, 300, 400)] for t in (10, 20, 30)]
  np.testing.assert_array_equal(joined[..., 0], expected)


def test_predators_learn_against_a_pool_of_prey():
  game = online.as_chase(particle_tasks.tag_scenario())
  prey = [mappo.init_actor(jax.random.key(k), 1, 14, 16) for k in range(2)]
  history = online.respond(game, TINY, 4, 0, 0, prey)
  first, last = history.actors[0][0], history.actors[-1][0]
  assert np.isfinite(history.returns).all()
  assert any((a != b).any() for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(last), strict=True))
  gone_on = online.respond(game, TINY, 4, 0, 0, prey, actor=last)
  jax.tree.map(np.testing.assert_array_equal, gone_on.actors[0][0], last)


def test_a_game_is_given_clipped_actions_and_the_learner_what_was_drawn():
  """The density is of the unclipped action; returns are the mean over agents of the sum over time."""
  team = mappo.init_actor(jax.random.key(0), 2, 3, 4, log_std=0.0)
  game = mappo.Game(
    reset=lambda key: jax.random.uniform(key),
    observe=lambda state: (jnp.full((2, 3), state),),
    step=lambda state, actions, key: (state + 1.0, (actions[0][:, 0] + 10.0 * actions[0][:, 1],)),
    horizon=4,
    sizes=((2, 3),),
  )
  (played,) = mappo.play(game, (team,), jax.random.key(1), copies=16)
  assert played.action.shape == (4, 16, 2, 2) and (np.abs(played.action) > 1).any()
  given = np.clip(played.action, -1.0, 1.0)
  np.testing.assert_allclose(played.reward, given[..., 0] + 10.0 * given[..., 1], rtol=1e-5)
  mean = np.asarray(mappo.mean_action(team, played.obs))
  assert len(np.unique(played.action - mean)) > 250  # of 256: every agent and step has noise of its own
  expected = scipy.stats.norm.logpdf(played.action, mean, 1.0).sum(axis=-1)
  np.testing.assert_allclose(played.log_prob, expected, rtol=1e-4)
  np.testing.assert_allclose(np.diff(played.obs[:, :, 0, 0], axis=0), 1.0, rtol=1e-5)
  (returns,) = online.episode_returns(game, (team,), jax.random.key(1), 16)
  np.testing.assert_allclose(returns, played.reward.mean(axis=-1).sum(axis=0), rtol=1e-5)


def test_each_side_of_a_chase_moves_its_own_bodies_for_its_own_reward():
  """Predators drive right and the prey up, far from each other and from everything."""
  scenario = particle_tasks.tag_scenario()
  game = online.as_chase(scenario)
  places = jnp.array([[0.0, 50.0], [0.0, 60.0], [0.0, 70.0], [0.0, 0.0]])
  state = scenario.reset(jax.random.key(0)).replace(agent_pos=places, landmark_pos=jnp.full((2, 2), 99.0))
  assert game.sizes == ((3, 16), (1, 14)) and game.horizon == 25
  actions = jnp.tile(jnp.array([1.0, 0.0]), (3, 1)), jnp.array([[0.0, 1.0]])
  state, (predators, prey) = jax.jit(game.step)(state, actions, jax.random.key(0))
  np.testing.assert_allclose(state.agent_vel, [[0.9, 0.0]] * 3 + [[0.0, 1.3]], atol=1e-6)
  assert predators.shape == (3,) and prey.shape == (1,)
  far = sum(np.hypot(0.09, height - 0.13) for height in (50.0, 60.0, 70.0))  # each moves by a tenth of its speed
  np.testing.assert_allclose(predators, [-0.1 * far] * 3, rtol=1e-5)
  np.testing.assert_allclose(prey, [0.1 * far], rtol=1e-5)


def test_the_loss_by_hand():
  """Ratios 1.1 and 1.5, the second clipped to 1.2; the entropy earns, the value's error costs."""
  config = mappo.Config(clip=0.2, entropy=0.25)
  actor, critic = {"log_std": jnp.array([[0.3, -0.1]])}, [{"w": jnp.array([[2.0]]), "b": jnp.array([1.0])}]
  action, advantage = jnp.zeros((2, 1, 2)), jnp.array([[2.0], [4.0]])
  log_prob = -0.2 - jnp.log(2 * jnp.pi) - jnp.log(jnp.array([[1.1], [1.5]]))
  inputs, target = jnp.array([[1.0], [2.0]]), jnp.array([[4.0], [5.0]])  # values 3 and 5
  batch = (jnp.zeros((2, 1, 3)), inputs, action, log_prob, advantage, target)
  loss = mappo.ppo_loss((actor, critic), batch, config, policy=lambda actor, obs: jnp.zeros((2, 1, 2)))
  np.testing.assert_allclose(loss, -(2.2 + 4.8) / 2 - 0.25 * 0.2 + 0.5, rtol=1e-5)


def test_what_is_learned_from_by_hand(monkeypatch):
  """Targets are in scaled rewards, advantages standardised after them; the critic is told the time."""
  monkeypatch.setattr(mappo, "descend", lambda team, data, *rest: data)
  config = mappo.Config(gamma=0.5, trace=0.5, reward_scale=0.1)
  critic = [{"w": jnp.array([[0.0], [0.0], [6.0]]), "b": jnp.zeros(1)}]  # values 0 and 3: six times the time gone
  reward = jnp.array([10.0, 40.0])[:, None, None]
  played = mappo.Played(jnp.ones((2, 1, 1, 2)), jnp.zeros((2, 1, 1, 2)), jnp.zeros((2, 1, 1)), reward)
  team = mappo.Team(None, critic, None)
  obs, inputs, action, log_prob, advantage, target = mappo.learn(team, played, None, config, None, None)
  assert obs is played.obs and action is played.action and log_prob is played.log_prob
  np.testing.assert_allclose(inputs[:, 0], [[1.0, 1.0, 0.0], [1.0, 1.0, 0.5]])
  # deltas: 1 + 0.5 * 3 - 0 = 2.5 and 4 - 3 = 1; advantages 2.5 + 0.25 * 1 = 2.75 and 1
  np.testing.assert_allclose(target.ravel(), [2.75, 4.0], rtol=1e-6)
  np.testing.assert_allclose(advantage.ravel(), [1.0, -1.0], rtol=1e-5)


def test_the_optimizer_s_steps_fall_over_the_whole_run_and_gradients_are_clipped():
  """Adam's step under one gradient is the rate; all that are 0.5 or more are one, of norm 0.5."""
  config = mappo.Config(epochs=2, minibatches=3, learning_rate=1e-3, final_learning_rate=1e-4)
  optimizer = online.make_optimizer(config, 4)
  gradients = jnp.array([1000.0, 0.5, *[1.0] * 28])

  def one_step(state, gradient):
    update, state = optimizer.update(gradient, state)
    return state, update

  steps = jax.lax.scan(one_step, optimizer.init(jnp.zeros(())), gradients)[1]
  expected = np.interp(np.arange(30), [0, 24], [1e-3, 1e-4])  # 4 iterations of 2 epochs of 3 minibatches
  np.testing.assert_allclose(-steps, expected, rtol=1e-3)
