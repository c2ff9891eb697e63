"""Published files become a data set that trains; their card says what they are, and what differs from what was said."""

import numpy as np
import pytest

from experiments import convert, published_data, runs, settings, train, train_request
from marl_offline.datasets import public_pymarl, storage
from marl_offline.environments import particle_tasks
from marl_offline.evaluation import scores
from tests.datasets import published
from tests.datasets.made import refused
from tests.experiments import binaries


def call(*arguments):
  return binaries.call(convert.main, convert.FLAGS, *arguments)


def omar(tmp_path, task="spread", quality="expert", *arguments):
  where = (f"--from={tmp_path}", f"--data_dir={tmp_path / 'data'}")
  return call("--kind=omar", *where, f"--task={task}", f"--quality={quality}", *arguments)


def test_omars_files_become_ours_and_train(tmp_path):
  given, _ = published.write_omar(tmp_path, seed=2)
  status, out, err = omar(tmp_path, "spread", "expert", "--seed_folder=2")
  folder = tmp_path / "data" / "spread-expert-omar2"
  assert status == 0 and str(folder) in out, err
  episodes, card = storage.load(folder)
  returns = np.mean([given[f"rews_{i}"] for i in range(3)], axis=0).reshape(2, 25).sum(axis=1)
  assert not err and "published_return" not in card  # what is published is of the first seed's files
  assert card["origin"] == "converted" and card["licence"] == "not stated by its authors" and card["seed"] == 2
  assert card["source"].endswith("files simple_spread/expert/seed_2_data")
  assert card["conversion"] == {"layout": "omar", "dones": "all 0", "rows_never_drawn": 2}
  np.testing.assert_allclose(card["normalized_mean"], 100 * (returns.mean() - 159.8) / (516.8 - 159.8), rtol=1e-4)
  storage.require_match(card, particle_tasks.spread())
  assert episodes.final_action_unknown.all() and card["episodes"] == 2
  arguments = (f"--dataset={folder}", "--task=spread", "--quality=expert", f"--run_dir={tmp_path / 'run'}")
  status, out, err = binaries.call(train.main, train_request.FLAGS, *arguments, *binaries.QUICK)
  assert status == 0 and "bc on spread-expert-omar2 (converted)" in out, err
  status, _, err = omar(tmp_path, "spread", "expert", "--seed_folder=2")
  assert "spread-expert-omar2: already exists and is not overwritten" in binaries.sentence(status, err)


def test_another_prey_and_another_scale_are_on_the_card(tmp_path):
  published.write_omar(tmp_path, "tag", "random")
  assert omar(tmp_path, "tag", "random")[0] == 0
  _, card = storage.load(tmp_path / "data" / "tag-random-omar0")
  storage.require_match(card, particle_tasks.tag())
  assert "the prey that played here is OMAR's" in card["caveat"] and "100 = 185.6" in card["normalized_by"]
  assert card["num_agents"] == 3
  facts = {"task": "tag", "algorithm": "bc", "dataset": card["name"], "origin": "converted", "caveat": card["caveat"]}
  facts |= {"quality": "random", "settings_of": "random", "dataset_mean_return": 0.0, "seeds": [0]}
  facts |= {"behavior_updates": 0, "gradient_steps": 5, "episodes_per_evaluation": 2, **runs.summary("tag", [1.0])}
  assert "the data set's card says: the prey that played here is OMAR's" in runs.table(facts)
  # its own return is of that prey, on a scale that is of ours
  assert any(line.split() == ["data", "set", "0.0", "-"] for line in runs.table(facts).splitlines())
  plain = runs.table(facts | {"caveat": ""}).splitlines()
  assert any(line.split() == ["data", "set", "0.0", "7.5"] for line in plain)


def test_what_an_older_simulator_made_matches_by_name_and_says_so(tmp_path):
  published.write_omar(tmp_path, "halfcheetah_2x3", "medium")
  assert omar(tmp_path, "halfcheetah_2x3", "medium")[0] == 0
  _, card = storage.load(tmp_path / "data" / "halfcheetah_2x3-medium-omar0")
  storage.require_match(card, {"name": "halfcheetah_2x3", "version": "v1", "num_agents": 2, "obs_size": 6})
  assert "MuJoCo 2.0" in card["caveat"]


def test_omigas_files(tmp_path):
  pytest.importorskip("h5py")
  arrays = published.omiga_arrays(lengths=(4, 1000))
  published.write_hdf5(tmp_path / "Hopper-v2-3x1-medium-replay.hdf5", arrays)
  where = (f"--from={tmp_path}", f"--data_dir={tmp_path / 'data'}")
  status, out, err = call("--kind=omiga", *where, "--task=hopper_3x1", "--quality=medium-replay")
  folder = tmp_path / "data" / "hopper_3x1-medium-replay-omiga"
  assert status == 0 and str(folder) in out and "746.42 +- 671.89 in 1310666 rows" in err
  episodes, card = storage.load(folder)
  assert episodes.num_rows == 1004 and card["conversion"]["time_limits_stored_as_ends"] == 1 and card["seed"] is None
  other = {"name": "hopper_3x1", "version": "v1", "num_agents": 3}
  refused(lambda: storage.require_match(card, other), "version 'omiga-mujoco200'", "'v1'")
  assert card["normalized_mean"] is None and card["source"].endswith("Hopper-v2-3x1-medium-replay.hdf5")
  status, _, err = call("--kind=omiga", *where, "--task=hopper_3x1", "--quality=expert", "--seed_folder=1")
  assert "--seed_folder=1 is not of --kind=omiga" in binaries.sentence(status, err)
  status, _, err = call("--kind=omiga", *where, "--task=spread", "--quality=expert")
  assert "--task=spread is not known" in binaries.sentence(status, err)


def test_og_marls_vaults(tmp_path):
  pytest.importorskip("tensorstore")
  published.write_vault(tmp_path / "3hopper.vlt" / "Expert", published.vault_leaves(lengths=(4, 1001)))
  where = (f"--from={tmp_path / '3hopper.vlt'}", f"--data_dir={tmp_path / 'data'}", "--kind=og_marl")
  status, out, err = call(*where, "--task=hopper_3x1", "--quality=expert")
  folder = tmp_path / "data" / "hopper_3x1-expert-og_marl0"
  assert status == 0 and str(folder) in out and "2452.02 +- 1097.86 in 998910 rows" in err
  episodes, card = storage.load(folder)
  assert list(episodes.lengths()) == [3, 1000] and card["source"].endswith("vault 3hopper.vlt/Expert, data set 0 in it")
  status, _, err = call(*where, "--task=mine", "--quality=expert")
  assert "--task=mine is none of spread" in binaries.sentence(status, err)
  status, _, err = call(*where, "--task=../mine", "--quality=expert", "--time_limit=3")
  assert "--task=../mine must be a name" in binaries.sentence(status, err)
  published.write_vault(tmp_path / "own", published.vault_leaves(2, 3, 2, None))
  own = (f"--from={tmp_path / 'own'}", f"--data_dir={tmp_path / 'data'}", "--kind=og_marl", "--time_limit=5")
  status, out, err = call(*own, "--task=mine", "--quality=good")
  assert status == 0 and not err
  episodes, card = storage.load(tmp_path / "data" / "mine-good-og_marl0")
  assert episodes.num_rows == 8 and "published_return" not in card and card["environment"] is None


def test_pymarls_episodes_are_read_but_no_algorithm_trains_on_them(tmp_path):
  """As none acts in discrete actions yet; what is said comes before anything is written."""
  pytest.importorskip("h5py")
  known = public_pymarl.TASKS["2s3z"]
  arrays = published.pymarl_arrays(known, ((4, True), (120, False)))
  published.write_hdf5(tmp_path / "2s3z_medium_replay.h5", arrays)
  where = (f"--from={tmp_path}", f"--data_dir={tmp_path / 'data'}")
  status, out, err = call("--kind=pymarl", *where, "--task=2s3z", "--quality=medium-replay")
  folder = tmp_path / "data" / "2s3z-medium-replay-pymarl"
  assert status == 0 and str(folder) in out, err
  returns = [arrays["reward"][0, :4].sum(), arrays["reward"][1, :120].sum()]
  told = f"return is {np.mean(returns):.2f} +- {np.std(returns):.2f} in 124 rows and 2 episodes where 7.94 +- 3.41"
  assert f"{told} in 1976 episodes was published" in err
  episodes, card = storage.load(folder)
  assert (episodes.num_rows, card["action_size"], card["seed"]) == (124, 11, None)
  assert "legal" in card["sha256"] and card["action_range"] == [0, 1] and "QMIX" in card["policies"][0]["policy"]
  assert card["conversion"] == {"layout": "pymarl", "cut_at_the_time_limit": 1, "rows_never_drawn": 0}
  refused(lambda: storage.require_match(card, {"name": "2s3z", "version": "v1"}), "version 'starcraft2'")
  (tmp_path / "2s3z_medium_replay.h5").rename(tmp_path / "mine.h5")  # by its name no longer CFCQL's: not compared
  status, _, err = call(
    "--kind=pymarl", f"--from={tmp_path / 'mine.h5'}", f"--data_dir={tmp_path / 'b'}", "--task=2s3z", "--quality=medium"
  )
  assert status == 0 and not err
  assert "published_return" not in storage.load(tmp_path / "b" / "2s3z-medium-pymarl")[1]
  arguments = (f"--dataset={folder}", "--task=spread", f"--run_dir={tmp_path / 'run'}", *binaries.QUICK)
  status, _, err = binaries.call(train.main, train_request.FLAGS, *arguments)
  assert "2s3z-medium-replay-pymarl has discrete actions" in binaries.sentence(status, err)
  assert "--algorithm=bc is for continuous ones" in err and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
  ("arguments", "words"),
  [
    ((), "--kind is missing"),
    (("--kind=omer",), "--from is missing"),
    (("--kind=omer", "--from=x", "--task=spread", "--quality=expert"), "--kind=omer is not known (did you mean omar?)"),
    (("--kind=omar", "--from=x", "--task=spraed", "--quality=expert"), "--task=spraed is not known"),
    (("--kind=omar", "--from=x", "--task=spread", "--quality=exprt"), "--quality=exprt is not known"),
    (("--kind=omar", "--from=nowhere", "--task=spread", "--quality=expert"), "nowhere: is no folder"),
    (("--kind=omar", "--from=.", "--task=spread", "--quality=expert"), "holds no simple_spread/expert/seed_0_data"),
    (("--kind=omar", "--from=.", "--task=spread", "--quality=expert", "--seed_folder=-1"), "seed_folder"),
    (
      ("--kind=omar", "--from=.", "--task=spread", "--quality=expert", "--time_limit=7"),
      "--time_limit is for --kind=og_marl or pymarl and",
    ),
    (
      ("--kind=og_marl", "--from=.", "--task=tag", "--quality=expert", "--nofinal_rows"),
      "--final_rows is for --kind=og_marl and",
    ),
    (
      ("--kind=pymarl", "--from=.", "--task=3m", "--quality=x", "--time_limit=9"),
      "what 3m is in --kind=pymarl is known",
    ),
    (("--kind=pymarl", "--from=.", "--task=mine", "--quality=x"), "--task=mine is none of 3m, 8m, 2s3z"),
    (
      ("--kind=pymarl", "--from=.", "--task=3m", "--quality=x", "--clip_actions"),
      "--clip_actions is not of --kind=pymarl",
    ),
    (("--kind=pymarl", "--from=.", "--task=3m", "--quality=Expert"), "--quality=Expert must be a name"),
    (("--kind=og_marl", "--from=.", "--task=spread_3", "--quality=x", "--time_limit=9"), "the name of a task of ours"),
  ],
)
def test_bad_flags_are_one_sentence_and_write_nothing(arguments, words, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  status, _, err = call(*arguments)
  assert words in binaries.sentence(status, err)
  assert not list(tmp_path.iterdir())


def test_faulty_files_are_one_sentence_and_write_nothing(tmp_path):
  _, folder = published.write_omar(tmp_path)
  (folder / "next_obs_1.npy").unlink()
  status, _, err = omar(tmp_path)
  assert "next_obs_1.npy: is missing" in binaries.sentence(status, err)
  assert not (tmp_path / "data").exists()


def test_the_first_agents_return_in_the_first_seeds_files_is_compared(tmp_path):
  given, _ = published.write_omar(tmp_path)
  status, _, err = omar(tmp_path)
  first = given["rews_0"].reshape(2, 25).sum(axis=1)
  assert status == 0
  assert (
    f"warning: the first agent's return is {first.mean():.2f} +- {first.std():.2f} in 50 rows and 2 episodes where"
    in err
  )
  assert "530.95 +- 71.41 in 1000000 rows was published" in err and len(err.splitlines()) == 1
  assert storage.load(tmp_path / "data" / "spread-expert-omar0")[1]["published_return"]["mean"] == 530.95


def test_a_doubtful_time_limit_is_a_warning(tmp_path):
  pytest.importorskip("h5py")
  known = public_pymarl.TASKS["3m"]._replace(time_limit=5)
  published.write_hdf5(tmp_path / "mine.h5", published.pymarl_arrays(known, ((5, True), (2, True), (5, True))))
  where = (f"--from={tmp_path / 'mine.h5'}", f"--data_dir={tmp_path / 'data'}", "--task=mine", "--quality=expert")
  status, _, err = call("--kind=pymarl", *where, "--time_limit=60")
  assert status == 0 and err.startswith("warning: no episode has 60 steps, and 2 of 3 have 5") and err.count("\n") == 1
  _, card = storage.load(tmp_path / "data" / "mine-expert-pymarl")
  assert "--time_limit=5" in card["conversion"]["time_limit_in_doubt"]


def test_published_returns_by_their_scores():
  """OMAR's data on its own scale; of OMIGA's, medium and expert lie in one file half and half."""
  scored = {
    **{"spread": (0, 12.3, 31.8, 104.0), "tag": (0, 4.2, 63.5, 111.8)},
    **{"world": (0, 9.3, 84.2, 106.6), "halfcheetah_2x3": (0, 18.4, 48.1, 94.0)},
  }
  for task, wanted in scored.items():
    high, low = scores.OMAR[task][:2] if task in scores.OMAR else (3568.8, -284.0)
    known = [published_data.returns("omar", task, quality).mean for quality in settings.QUALITIES]
    np.testing.assert_allclose(100 * (np.array(known) - low) / (high - low), wanted, atol=0.1)
  for task in ("ant_2x4", "halfcheetah_6x1"):
    medium, expert, both = (published_data.returns("omiga", task, q) for q in ("medium", "expert", "medium-expert"))
    assert both.mean == pytest.approx((medium.mean + expert.mean) / 2, abs=0.01)
    apart = (expert.mean - medium.mean) / 2
    assert both.std == pytest.approx(np.hypot(apart, np.sqrt((medium.std**2 + expert.std**2) / 2)), abs=0.05)


def test_how_much_returns_may_differ():
  said = published_data.Returns(100.0, 50.0, 25, "them")  # 2 % of the spread is 1
  assert published_data.difference(100.9, 49.1, 25, 1, said) == ""
  assert "101.10 +- 50.00 in 25 rows and 1 episodes where 100.00 +- 50.00 in 25 rows was" in published_data.difference(
    101.1, 50, 25, 1, said
  )
  assert "100.00 +- 51.10" in published_data.difference(100, 51.1, 25, 1, said)
  assert "in 50 rows" in published_data.difference(100, 50, 50, 1, said)
  assert published_data.difference(100, 50, 50, 1, said._replace(rows=None)) == ""
  assert published_data.returns("omar", "world", "medium")[:3] == (65.86, 29.55, 1_000_000)
  assert published_data.returns("omiga", "ant_2x4", "expert").source == "OG-MARL's data cards"
  assert published_data.returns("omar", "world", "mediocre") is None
  smac = published_data.returns("pymarl", "2s3z", "expert")  # 19.975 +- 0.374, so 0.0075 and what rounding did
  assert published_data.difference(19.982, 0.367, 9, 5_000, smac) == ""
  assert "in 9 rows and 4999 episodes where 19.98 +- 0.37 in 5000 episodes was" in published_data.difference(
    19.975, 0.374, 9, 4_999, smac
  )
  assert "return is 19.99 +-" in published_data.difference(19.99, 0.374, 9, 5_000, smac)
