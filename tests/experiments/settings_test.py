import dataclasses
import sys

import pytest

from experiments import runs, settings
from marl_offline.algorithms import spacql
from marl_offline.evaluation import scores
from tests import games


@pytest.mark.parametrize("protocol", settings.PROTOCOLS)
@pytest.mark.parametrize("task", settings.PAPER_TASKS | settings.MUJOCO_TASKS)
@pytest.mark.parametrize("algorithm", settings.ALGORITHMS)
def test_every_protocol_can_be_built_and_logs_whole_periods(protocol, task, algorithm):
  for quality in settings.QUALITIES:
    run = settings.PROTOCOLS[protocol](algorithm, task, quality)
    settings.load(algorithm).make(games.tiny_spec(), run.config)
    assert run.log_every % getattr(run.config, "actor_period", 1) == 0
    assert run.gradient_steps % run.evaluations == 0
    assert (run.gradient_steps // run.evaluations) % run.log_every == 0
    assert run.source


def test_paper_by_the_table():
  run = settings.paper("spacql", "spread", "medium")
  assert (run.config.alpha, run.config.learning_rate, run.config.ensemble_size) == (5.0, 0.01, 10)
  assert (run.gradient_steps, run.episodes, run.team_reward) == (10_005, 100, "mean")
  run = settings.paper("cfcql", "world", "medium")
  assert (run.config.alpha, run.config.learning_rate, run.config.ensemble_size) == (0.32, 0.001, 2)


# random, medium-replay, medium, expert: CFCQL's code; then OMAR's, whose weight of imitation and alpha stand together
CONSERVATIVE = {
  "spread": (0.01, (0.5, 1.0, 5.0, 2.5)),
  "tag": (0.001, (0.5, 0.5, 0.6, 2.0)),
  "world": (0.001, (0.5, 0.5, 0.32, 0.3)),
  "halfcheetah_2x3": (3e-4, (0.1, 0.4, 1.0, 1.7)),
}
INDEPENDENT = {
  "spread": ((1.0, 0.5), (1.0, 1.0), (1.0, 5.0), (1.0, 5.0)),
  "tag": ((0.9, 0.5), (0.9, 0.5), (0.7, 5.0), (0.9, 5.0)),
  "world": ((1.0, 0.5), (0.7, 1.0), (0.1, 0.5), (0.9, 5.0)),
  "halfcheetah_2x3": ((1.0, 1.0), (0.9, 5.0), (0.7, 1.0), (0.5, 5.0)),
}
INDEPENDENT_UPDATES = {"spread": (6001, 2001, 2001, 2001), "tag": (2001, 1001, 2001, 2001), "world": (1001,) * 4}


@pytest.mark.parametrize("task", CONSERVATIVE)
def test_every_quality_has_the_numbers_of_its_column(task):
  """As the released codes' tables have them; our runs are an update of the independent ones shorter."""
  learning_rate, alphas = CONSERVATIVE[task]
  updates = INDEPENDENT_UPDATES.get(task, (100_001,) * 4)
  for place, quality in enumerate(("random", "medium-replay", "medium", "expert")):
    for protocol in (settings.paper, settings.released_code):
      for name in ("cfcql", "spacql", "icql_qs", "macql"):
        config = protocol(name, task, quality).config
        assert (config.alpha, config.learning_rate) == (alphas[place], learning_rate)
      for name in ("icql", "omar"):
        assert protocol(name, task, quality).config.alpha == INDEPENDENT[task][place][1]
    run = settings.released_code("omar", task, quality)
    assert (run.config.imitation_weight, run.gradient_steps + 1) == (INDEPENDENT[task][place][0], updates[place])


def test_what_robots_alone_have():
  robot, particles = (settings.paper("awac", task, "expert").config for task in ("halfcheetah_2x3", "world"))
  assert (robot.temperature, particles.temperature) == (1 / 3, 1.0)
  robot, particles = (settings.paper("omar", task, "expert").config for task in ("halfcheetah_2x3", "world"))
  assert (robot.search, robot.search_rounds, robot.search_samples) == ("elites", 2, 20)
  assert (particles.search, particles.search_rounds, particles.search_samples) == ("soft", 3, 10)


def test_cheetah_by_the_table():
  run = settings.paper("cfcql", "halfcheetah_2x3", "expert")
  config = run.config
  assert (config.alpha, config.learning_rate, config.gamma, config.tau) == (1.7, 3e-4, 0.99, 0.005)
  assert (config.batch_size, config.hidden_size, config.proposals) == (256, 256, "three_sources")
  assert (run.gradient_steps, run.evaluations, run.episodes) == (500_000, 200, 10)
  released = settings.released_code("cfcql", "halfcheetah_2x3", "expert")  # agent 0's reward is everybody's there
  assert (released.config.gamma, released.minibatches, released.team_reward) == (0.95, None, "first_agent")
  omar = settings.released_code("omar", "halfcheetah_2x3", "medium-replay").config
  assert (omar.imitation_weight, omar.alpha, omar.search, omar.gamma) == (0.9, 5.0, "elites", 0.95)
  for algorithm in settings.ALGORITHMS:
    assert settings.paper(algorithm, "halfcheetah_2x3", "random").config.hidden_size == 256


def test_a_task_whose_simulator_is_missing_names_the_extra(monkeypatch):
  monkeypatch.setitem(sys.modules, "mujoco", None)
  with pytest.raises(runs.UserError, match=r"pip install 'marl_offline\[mujoco\]'"):
    runs.environment_of("halfcheetah_2x3")


def test_omar_by_the_tables():
  # random, medium-replay, medium, expert: the paper's appendix for every task, the released code's own for each
  def weights(protocol, task):
    return [protocol("omar", task, quality).config.imitation_weight for quality in settings.QUALITIES]

  assert weights(settings.paper, "spread") == weights(settings.paper, "world") == [0.5, 0.5, 0.7, 0.9]
  assert weights(settings.released_code, "spread") == [1.0, 1.0, 1.0, 1.0]
  assert weights(settings.released_code, "world") == [1.0, 0.7, 0.1, 0.9]
  for name in ("icql", "omar"):  # each agent's own reward stays, so nobody's is named the team's
    run = settings.released_code(name, "world", "medium")
    assert (run.config.alpha, run.team_reward, run.gradient_steps) == (0.5, "mean", 1_000)
    assert "2111.11188" in run.source
    assert settings.paper(name, "world", "medium").gradient_steps == 25_000
    assert settings.released_code(name, "spread_4", "random").gradient_steps == 6_000  # spread's
    assert settings.released_code(name, "halfcheetah_2x3", "random").log_every == 500  # a signal waits so long


def test_released_code_sees_few_minibatches():
  # ten outer updates lie between two evaluations (50 on world), of five critic updates each, or one where independent
  counts = [settings.released_code(name, "spread", "random").minibatches for name in ("cfcql", "spacql", "omar")]
  assert counts == [50, 50, 10] and settings.released_code("cfcql", "world", "random").minibatches == 250
  assert settings.released_code("omar", "world", "random").minibatches == 10
  assert "; reward, minibatches as in the code" in settings.released_code("iql", "world", "random").source
  assert "; reward, minibatches, gamma as in the code" in settings.released_code("spacql", "world", "random").source
  assert settings.released_code("iql", "halfcheetah_2x3", "random").source.endswith(
    "; reward as in the code released with arXiv:2309.12696"
  )
  assert settings.paper("cfcql", "spread", "random").minibatches is None
  alone = settings.fixed_minibatches("cfcql", "spread", "random")
  assert (alone.minibatches, alone.team_reward) == (50, "mean")


@pytest.mark.parametrize("protocol", settings.PROTOCOLS)
@pytest.mark.parametrize("task", settings.TASKS)
def test_the_model_of_the_behavior_comes_on_top_in_whole_intervals(task, protocol):
  run = settings.PROTOCOLS[protocol]("cfcql", task, "medium")
  assert settings.with_behavior_updates(run) == run
  weighted = dataclasses.replace(run, config=settings.override(run.config, ["agent_weights=softmax"]))
  longer = settings.with_behavior_updates(weighted)
  extra = weighted.config.behavior_updates
  assert longer.gradient_steps == run.gradient_steps + extra
  interval = longer.gradient_steps // longer.evaluations
  assert interval == run.gradient_steps // run.evaluations
  assert (longer.gradient_steps % longer.evaluations, interval % run.log_every, extra % interval) == (0, 0, 0)
  rows = 25_000 * 1024  # as many as the released code's 100,001 updates of 256
  assert extra == 2_500 if protocol == "quick" else abs(extra - rows / run.config.batch_size) < interval


def test_a_phase_that_ends_between_evaluations_is_refused():
  run = settings.paper("cfcql", "spread", "medium")
  config = settings.override(run.config, ["agent_weights=one_hot", "behavior_updates=1000"])
  with pytest.raises(ValueError, match="behavior_updates=1000 must be a multiple of 435"):
    settings.with_behavior_updates(dataclasses.replace(run, config=config))
  assert settings.behavior_updates(dataclasses.asdict(config)) == 1000


def test_protocols_change_what_their_names_say():
  paper = settings.paper("spacql", "tag", "expert")
  layer, data = settings.layer_norm("spacql", "tag", "expert"), settings.data_norm("spacql", "tag", "expert")
  assert (paper.config.normalization, layer.config.normalization, data.config.normalization) == (
    "batch",
    "layer",
    "data",
  )
  assert dataclasses.replace(layer.config, normalization="batch") == paper.config
  assert settings.released_code("spacql", "tag", "expert").team_reward == "first_agent"


@pytest.mark.parametrize(
  "arguments, words",
  [
    (("qmix", "spread", "random"), "--algorithm qmix: unknown; known are spacql, icql_qs"),
    (("spacql", "soccer", "random"), "--task soccer: unknown; known are spread, tag, world"),
    (("spacql", "spread", "good"), "--quality good: unknown; known are random, medium-replay"),
  ],
)
def test_unknown_names_are_refused_with_the_known_ones(arguments, words):
  with pytest.raises(ValueError, match=words):
    settings.paper(*arguments)


def test_override_keeps_each_fields_type():
  config = settings.override(
    spacql.Config(), ["alpha=2", "batch_size=64", "normalization=layer", "exact_subsets=true", "learning_rate=1e-4"]
  )
  assert (config.alpha, config.batch_size, config.normalization) == (2.0, 64, "layer")
  assert config.exact_subsets is True
  assert config.learning_rate == 1e-4
  assert isinstance(config.alpha, float)
  assert settings.override(config, []) == config


@pytest.mark.parametrize(
  "item, words",
  [
    ("alpha", "expected name=value"),
    ("alfa=1", "unknown name alfa; marl_offline.algorithms.spacql has action_regularization, actor_period, alpha"),
    ("alpha=big", "expected a value of type float"),
    ("batch_size=1.5", "expected a value of type int"),
    ("batch_size=True", "expected a value of type int"),
    ("exact_subsets=1", "expected True or False"),
    ("alpha=", "expected a value of type float"),
    ("alpha=nan", "expected a finite number"),
    ("alpha=-inf", "expected a finite number"),
  ],
)
def test_override_refuses_in_one_sentence(item, words):
  with pytest.raises(ValueError, match=words):
    settings.override(spacql.Config(), [item])


def test_fields_of_somebodys_own_take_python_literals():
  sizes = [("hidden_sizes", tuple, (64, 64)), ("clip", float | None, None)]
  config = dataclasses.make_dataclass("Config", sizes)()
  changed = settings.override(config, ["hidden_sizes=(128, 128)", "clip=0.5"])
  assert (changed.hidden_sizes, changed.clip) == ((128, 128), 0.5)
  for item in ("hidden_sizes=128", "hidden_sizes=(128", "hidden_sizes=wide"):
    with pytest.raises(ValueError, match="expected a value of type tuple"):
      settings.override(config, [item])


def test_a_field_that_is_set_to_two_values_is_refused():
  config = settings.paper("bc", "spread", "random").config
  with pytest.raises(ValueError, match="--set batch_size=16: batch_size is set to 8 as well"):
    settings.override(config, ["batch_size=8", "batch_size=16"])
  assert settings.override(config, ["batch_size=8", "batch_size=8"]).batch_size == 8


def test_spread_lends_its_settings_to_any_number_of_agents():
  for algorithm in settings.ALGORITHMS:
    assert settings.paper(algorithm, "spread_10", "random") == settings.paper(algorithm, "spread", "random")
  assert [settings.TASKS[f"spread_{n}"]().num_agents for n in range(3, 11)] == list(range(3, 11))
  assert set(settings.MORE_AGENTS) <= set(scores.REFERENCES)
