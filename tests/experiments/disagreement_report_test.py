"""The parts of SPaCQL's u_k, of one tiny run end to end and of critics made by hand."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import disagreement_report, train, train_request
from marl_offline.algorithms import spacql
from marl_offline.parts import joint_critic
from tests import games
from tests.experiments import binaries

SIZES = ("--set=batch_size=8", "--set=hidden_size=8", "--set=ensemble_size=3", "--set=num_proposals=2",
         "--gradient_steps=20", "--evaluations=2", "--episodes=2", "--num_seeds=2", "--quality=random")  # fmt: skip


def call(*arguments):
  return binaries.call(disagreement_report.main, disagreement_report.FLAGS, *arguments)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp("disagreement")
  binaries.make_data("spread", "random", folder / "data")
  for name, algorithm in (("run", "spacql"), ("cloned", "bc"), ("weighted", "cfcql")):
    sizes = [size for size in SIZES if algorithm != "bc" or "--set" not in size]
    sizes += ["--set=agent_weights=softmax", "--set=behavior_updates=10"] if algorithm == "cfcql" else []
    flags = (f"--algorithm={algorithm}", f"--data_dir={folder / 'data'}", f"--run_dir={folder / name}")
    status, _, err = binaries.call(train.main, train_request.FLAGS, *sizes, *flags)
    assert status == 0, err
  return folder


def test_the_files_hold_every_seed(folder):
  status, out, err = call(f"--run_dir={folder / 'run'}", f"--out={folder / 'out'}", "--rows=64")
  assert status == 0, err
  (row,) = json.loads((folder / "out/disagreement.json").read_text())
  assert (row["algorithm"], row["quality"], row["seeds"], row["step"]) == ("spacql", "random", [0, 1], 20)
  shapes = {name: np.shape(values) for name, values in row["numbers"].items()}
  weights = dict.fromkeys(("w", "w_std", "relative_w", "relative_w_std"), (2, 3))
  assert shapes == {"u": (2, 4), "relative_u": (2, 3), "q": (2, 4), "minimum": (2, 4), "mixed": (2, 3)} | weights
  for name in ("w", "relative_w"):
    np.testing.assert_allclose(np.sum(row["numbers"][name], axis=1), 1.0, rtol=1e-4)
  # quick and small: another run than the papers', and named so
  assert "spacql (quick, batch_size=8, hidden_size=8, num_proposals=2) on spread-random-v1, 3 critics" in out
  assert (folder / "out/disagreement.png").stat().st_size > 1000


def test_critics_beside_a_model_of_the_behavior_are_asked_too(folder):
  status, out, err = call(f"--run_dir={folder / 'weighted'}", f"--out={folder / 'weighted_out'}", "--rows=16")
  assert status == 0 and "cfcql (quick" in out, err


@pytest.mark.parametrize(
  ("arguments", "words"),
  [
    ([], "--run_dir is needed"),
    (["--run_dir=nowhere"], "no config.json"),
    (["--run_dir={folder}/cloned"], "is of bc, which has no ensemble of joint critics"),
  ],
)
def test_bad_flags_are_one_sentence(folder, arguments, words):
  status, _, err = call(*(argument.format(folder=folder) for argument in arguments))
  assert words in binaries.sentence(status, err)


def disagreements_of(critic):
  """What the report says of two critics: critic(params, state, action [B, 1 + N, ...]) -> [2, B, 1 + N]."""
  spec = games.tiny_spec()
  net = joint_critic.build(spec, spacql.Config(hidden_size=8, ensemble_size=2))
  state = jax.jit(net.init)(jax.random.key(0))
  batch = games.random_batch(spec, jax.random.key(1))
  return disagreement_report.disagreements(net._replace(critic=critic), state, batch, jax.random.key(2), 0.0)


def test_critics_that_differ_about_the_state_alone():
  """Q_e(s, a) = c_e: u_k is std(c) for every k, nothing of it from actions."""

  def of_the_state(critics, state, action):
    return jnp.broadcast_to(jnp.array([1.0, 5.0])[:, None, None], (2, *action.shape[:2]))

  found = disagreements_of(of_the_state)
  np.testing.assert_allclose(found["u"], [2.0] * 4)
  np.testing.assert_allclose(found["relative_u"], [0.0] * 3)
  np.testing.assert_allclose(found["w"], [1 / 3] * 3, rtol=1e-6)
  np.testing.assert_allclose(found["w_std"], [0.0] * 3, atol=1e-6)
  np.testing.assert_allclose(found["minimum"], [1.0] * 4)
  np.testing.assert_allclose(found["mixed"], [1.0] * 3, rtol=1e-6)


def test_what_each_mixture_pays_for_the_minimum():
  """Q_e(s, a(k)) = 2, and k^2 - 1 lower or higher: u = 1, 0, 3, 8 for k = 0..3 and the minimum lies u below 2.

  By agreement all of the weight goes to k = 1, where both agree; relative u = 1, 4, 9 makes it 36/49, 9/49 and 4/49.
  """

  def of_k(critics, state, action):
    apart = jnp.arange(action.shape[1]) ** 2 - 1.0
    return 2.0 + jnp.broadcast_to(jnp.array([-1.0, 1.0])[:, None, None] * apart, (2, *action.shape[:2]))

  found = disagreements_of(of_k)
  np.testing.assert_allclose(found["minimum"], [1.0, 2.0, -1.0, -6.0])
  np.testing.assert_allclose(found["mixed"], [-5 / 3, 2.0, 2 - (0 * 36 + 3 * 9 + 8 * 4) / 49], rtol=1e-5)


def test_every_number_stands_under_its_name():
  """Two seeds of two agents, all numbers apart; the second seed's are 2 higher, so means are 1 above the first's."""
  first = {
    **{"q": [10.0, 20.0, 30.0], "u": [0.1, 0.2, 0.3], "relative_u": [0.4, 0.5], "minimum": [40.0, 50.0, 60.0]},
    **{"w": [0.6, 0.7], "w_std": [0.8, 0.9], "relative_w": [0.15, 0.25], "relative_w_std": [0.35, 0.45]},
    "mixed": [70.0, 80.0, 90.0],
  }
  numbers = {name: [values, [value + 2 for value in values]] for name, values in first.items()}
  row = {"run": "spacql", "dataset": "d", "config": {"ensemble_size": 10}, "seeds": [0, 1], "numbers": numbers}
  assert disagreement_report.markdown([row]).splitlines()[2:] == [
    "| spacql on d, 10 critics | 2 | 0 | 11.0 | 1.100 | - | - | - |",
    "|  |  | 1 | 21.0 | 1.200 | 1.400 | 1.600 (1.800) | 1.150 (1.350) |",
    "|  |  | 2 | 31.0 | 1.300 | 1.500 | 1.700 (1.900) | 1.250 (1.450) |",
    "",
    "| run | mean Q, data's action | minimum there | one agent (ICQL-QS) | all agents (CFCQL) | all k alike "
    "| by agreement | by relative agreement |",
    "|---|---|---|---|---|---|---|---|",
    "| spacql on d, 10 critics | 11.0 | 41.0 | 51.0 | 61.0 | 71.0 | 81.0 | 91.0 |",
  ]
