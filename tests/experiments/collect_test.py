"""The shipped policies give the data that the issue of the library is about: its bands, size, names, refusals."""

import contextlib
import itertools
import json
import pathlib
import shutil

import jax
import numpy as np
import pytest

from experiments import collect, locks, recipes
from marl_offline.collection import policies
from marl_offline.datasets import storage
from marl_offline.evaluation import scores
from tests.experiments import binaries

# Mean normalised return of each data set (for random: of the return itself, on spread), a little wider than wanted of a
# million rows, because a test records fewer. One standard error of 400 episodes is 1 to 3 points.
BANDS = {
  "spread": {"random": (-3, 3), "medium-replay": (5, 20), "medium": (25, 40), "expert": (99, 110)},
  "tag": {"random": (-4, 4), "medium-replay": (0, 15), "medium": (53, 77), "expert": (96, 125)},
  "world": {"random": (-4, 4), "medium-replay": (3, 18), "medium": (68, 92), "expert": (96, 125)},
}
BELOW_THE_REFERENCE = {("tag", "v2", "expert"): (86, 100)}  # MATD3 gets no further


def call(*arguments):
  return binaries.call(collect.main, collect.FLAGS, *arguments)


@pytest.mark.parametrize(("task", "version"), [*itertools.product(BANDS, ["v1", "v2"])])
def test_every_quality_of_a_task_lies_in_its_band(task, version, tmp_path):
  chosen = ["--version=v1"] if version == "v1" else []  # v2 is the newest
  status, out, err = call(f"--task={task}", "--quality=all", "--rows=10000", f"--data_dir={tmp_path}", *chosen)
  assert status == 0, err
  for quality, band in BANDS[task].items():
    low, high = BELOW_THE_REFERENCE.get((task, version, quality), band)
    folder = tmp_path / f"{task}-{quality}-{version if quality != 'random' else 'v1'}.rows10000"
    episodes, card = storage.load(folder)
    assert str(folder) in out
    assert episodes.num_rows == 10_000 and episodes.num_episodes == 400
    assert low <= card["normalized_mean"] <= high, (quality, card["normalized_mean"])
    assert card["environment"]["name"] == task and card["origin"] == "collected"
    played = [entry.get("rows", 25 * entry.get("episodes", 0)) for entry in card["policies"]]
    assert sum(played) == 10_000 and all(count % 25 == 0 for count in played)
  status, out, err = call(f"--task={task}", "--quality=all", "--rows=10000", f"--data_dir={tmp_path}", *chosen)
  assert status == 0 and out.count("is there already") == 4  # an interrupted call is simply made again


def test_the_shipped_policies_are_small_and_the_standard_sizes_the_papers():
  shipped = pathlib.Path(policies.__file__).parent / "policies"
  assert sum(path.stat().st_size for path in shipped.iterdir()) < 1e7
  assert {task: recipes.ROWS["medium-replay"][task] for task in BANDS} == {
    "spread": 97500,
    "tag": 62500,
    "world": 80000,
  }
  assert {recipes.ROWS[quality][task] for quality in ("random", "medium", "expert") for task in BANDS} == {1_000_000}


def test_the_references_are_what_the_shipped_policies_score():
  for task in ("tag", "world"):
    reference, curve = scores.REFERENCES[task], policies.load(f"{task}_mappo").facts["curve"]
    assert abs(curve["return"][-1] - reference.expert) < 0.08 * reference.expert
    assert abs(curve["normalized"][-1] - 100) < 8


@pytest.mark.parametrize(
  ("arguments", "words"),
  [
    (["--task=spraed"], "--task=spraed is not known (did you mean spread?); known: spread, tag, world"),
    (["--quality=exprt"], "did you mean expert?"),
    (["--fixed_roles"], "--fixed_roles is of spread and spread_n, --quality=medium or expert"),
    (["--fixed_roles", "--task=tag", "--quality=expert"], "--fixed_roles is of spread and spread_n"),
    (["--rename=by_landmrk"], "--rename=by_landmrk is not known; known: by_landmark, at_random"),
    (["--rename=at_random", "--quality=random"], "--rename=at_random of spread random: only spread's medium-replay,"),
    (["--rename=at_random", "--quality=all"], "each by a command of its own"),
    (["--rename=at_random", "--task=tag"], "--rename=at_random of tag medium-replay: only spread's"),
    (["--quality=random", "--version=v2"], "--version=v2 of spread random is not made here; there is v1"),
    (["--version=v3"], "--version=v3 of spread medium-replay is not made here; there is v1, v2"),
    (["--rows=30"], "rows=30 must be a positive multiple of 25"),
    (["--rows=many"], "rows"),
    (["--seed=99999999999999999999"], "seed"),
    (["--speed=1"], "speed"),
  ],
)
def test_bad_flags_are_one_sentence_and_write_nothing(arguments, words, tmp_path):
  status, _, err = call(f"--data_dir={tmp_path / 'data'}", *arguments)
  assert words in binaries.sentence(status, err)
  assert not (tmp_path / "data").exists()


def test_a_data_set_that_is_there_is_not_overwritten(tmp_path):
  folder = binaries.make_data("spread", "random", tmp_path)
  before = (folder / "card.json").read_bytes()
  status, _, err = call("--quality=random", f"--data_dir={tmp_path}")
  assert "already exists and is not overwritten" in binaries.sentence(status, err)
  assert (folder / "card.json").read_bytes() == before


def test_renamed_data_are_the_same_episodes(tmp_path):
  flags = ("--quality=expert", "--version=v1", "--rows=250", f"--data_dir={tmp_path}")
  for more in ((), ("--rename=by_landmark",)):
    status, _, err = call(*flags, *more)
    assert status == 0, err
  (plain, _), (renamed, card) = (
    storage.load(tmp_path / f"spread-expert{each}-v1.rows250") for each in ("", "_named_by_landmark")
  )
  np.testing.assert_allclose(renamed.returns(), plain.returns(), rtol=1e-6)
  assert (renamed.obs != plain.obs).any() and card["agents"] == "named by_landmark in every episode"


def test_data_do_not_depend_on_the_precision_of_the_run_that_makes_them(tmp_path, monkeypatch):
  played, seen = collect.played, []

  def noted(*given):
    seen.append(jax.config.jax_default_matmul_precision)
    return played(*given)

  monkeypatch.setattr(collect, "played", noted)
  with jax.default_matmul_precision("bfloat16"):
    collect.make(recipes.Recipe("spread", "random", rows=25), tmp_path)
  assert seen == ["float32"]


def test_missing_or_damaged_policies_are_one_sentence(tmp_path, monkeypatch):
  monkeypatch.setattr(policies.resources, "files", lambda package: tmp_path)
  status, _, err = call("--quality=medium", f"--data_dir={tmp_path}")
  assert "no policies of spread ship with this version; --from_scratch trains them" in binaries.sentence(status, err)
  kept = tmp_path / "policies-seed0"
  kept.mkdir()
  (kept / "spread.json").write_text(json.dumps({}))
  (kept / "spread.npz").write_bytes(b"no archive")
  status, _, err = call("--quality=medium", "--from_scratch", f"--data_dir={tmp_path}")
  assert "policies-seed0/spread.*" in binaries.sentence(status, err)
  np.savez(kept / "spread.npz", weight=policies.packed(np.zeros(1)))
  status, _, err = call("--quality=medium", "--from_scratch", f"--data_dir={tmp_path}")
  assert "spread.json has no kept" in binaries.sentence(status, err)
  (kept / "spread.npz").unlink()
  status, _, err = call("--quality=medium", "--from_scratch", f"--data_dir={tmp_path}")
  assert "spread.npz is missing beside spread.json; remove that to train anew" in binaries.sentence(status, err)


def shipped(folder, name):
  """A copy of the shipped policies. -> the archive, what its facts say."""
  place = pathlib.Path(policies.__file__).parent / "policies"
  folder.mkdir(parents=True)
  for kind in ("npz", "json"):
    shutil.copy(place / f"{name}.{kind}", folder)
  return folder / f"{name}.npz", json.loads((folder / f"{name}.json").read_text())


def test_flipped_bits_of_kept_policies_are_one_sentence(tmp_path):
  archive, _ = shipped(tmp_path / "policies-seed0", "tag")
  sound = archive.read_bytes()
  for bit in range(74 * 8, len(sound) * 8, len(sound) // 5):
    archive.write_bytes(sound[: bit // 8] + bytes([sound[bit // 8] ^ (1 << bit % 8)]) + sound[bit // 8 + 1 :])
    with contextlib.suppress(ValueError):  # a bit of a date harms nothing
      policies.load("tag", archive.parent)
  middle = len(sound) // 2
  archive.write_bytes(sound[:middle] + bytes([sound[middle] ^ 1]) + sound[middle + 1 :])
  status, _, err = call("--task=tag", "--quality=medium", "--from_scratch", f"--data_dir={tmp_path}")
  assert "the policies of tag cannot be made or read: tag.npz is damaged" in binaries.sentence(status, err)


def test_policies_kept_from_another_version_of_a_task_are_refused(tmp_path):
  archive, facts = shipped(tmp_path / "policies-seed0", "tag")
  facts["environment"] = {"version": "v1-prey1", "observation_hash": "0" * 12}
  archive.with_suffix(".json").write_text(json.dumps(facts))
  status, _, err = call("--task=tag", "--quality=expert", "--from_scratch", "--rows=250", f"--data_dir={tmp_path}")
  assert "they were trained in tag v1-prey1, and tag is v1-prey2 here; remove" in binaries.sentence(status, err)
  assert not list(tmp_path.glob("tag-*"))


def test_a_second_process_does_not_train_the_same_policies(tmp_path):
  with locks.alone(tmp_path / "policies-seed0" / ".training-tag.lock"):
    status, _, err = call("--task=tag", "--quality=expert", "--from_scratch", f"--data_dir={tmp_path}")
  assert "another process trains them in" in binaries.sentence(status, err)


def test_from_scratch_says_when_training_did_not_get_far_enough(tmp_path, monkeypatch):
  monkeypatch.setitem(collect.library.ITERATIONS, "spread", 2)
  monkeypatch.setattr(collect.library, "EPISODES", 20)
  monkeypatch.setattr(collect.library, "CONFIG", collect.library.mappo.Config(copies=8, hidden=8, epochs=1))
  status, _, err = call("--quality=medium", "--version=v1", "--from_scratch", f"--data_dir={tmp_path}")
  assert "below the level 31.8 that a data set needs" in err.splitlines()[-1] and status == 2


def test_a_robots_qualities_lie_in_their_bands_and_agents_have_data_of_their_own(tmp_path):
  pytest.importorskip("mujoco", reason="the extra [mujoco]")
  given = ("--task=halfcheetah_2x3", f"--data_dir={tmp_path}")
  for quality, (low, high) in {"random": (-3, 3), "medium-replay": (8, 28), "expert": (88, 100)}.items():
    status, _, err = call(*given, "--rows=10500", f"--quality={quality}")
    assert status == 0, err
    episodes, card = storage.load(tmp_path / f"halfcheetah_2x3-{quality}-v1.rows10500")
    assert low <= card["normalized_mean"] <= high, (quality, card["normalized_mean"])
    assert episodes.num_rows == 10_500 and sum(entry["rows"] for entry in card["policies"]) == 10_500
    assert episodes.lengths().max() == 1000 and not episodes.terminated.any()
  status, _, err = call(*given, "--rows=1000", "--quality=decentralized")
  assert status == 0, err
  states = [
    storage.load(tmp_path / f"halfcheetah_2x3-decentralized_agent{agent}-v1.rows1000")[0].state for agent in (0, 1)
  ]
  assert not (states[0] == states[1]).all(axis=1).any()  # where the same policies act too, other episodes
  for agent in (0, 1):
    episodes, card = storage.load(tmp_path / f"halfcheetah_2x3-decentralized_agent{agent}-v1.rows1000")
    assert episodes.num_agents == 1 and episodes.state.shape[1] == 17 and card["agent"] == {"this": agent, "of": 2}
    rows = dict.fromkeys((entry["part"] for entry in card["policies"]), 0)
    for entry in card["policies"]:
      rows[entry["part"]] += entry["rows"]
    assert rows == {"early play of all": 200, "medium among experts": 350, "expert among medium": 350, "experts": 100}
  status, _, err = call(*given, "--kappa=0.5", "--quality=random")
  assert "act independently" in binaries.sentence(status, err)


def test_a_robot_without_references_or_policies_is_recorded_all_the_same_or_refused(tmp_path, monkeypatch):
  pytest.importorskip("mujoco", reason="the extra [mujoco]")
  monkeypatch.delitem(scores.REFERENCES, "hopper_3x1", raising=False)
  monkeypatch.setattr(policies.resources, "files", lambda package: tmp_path)
  status, _, err = call("--task=hopper_3x1", "--quality=random", "--rows=50", f"--data_dir={tmp_path}")
  assert status == 0, err
  _, card = storage.load(tmp_path / "hopper_3x1-random-v1.rows50")
  assert card["normalized_mean"] is None and card["rows"] == 50
  status, _, err = call("--task=hopper_3x1", "--references")
  assert "no policies of hopper_3x1 ship" in binaries.sentence(status, err)
  status, _, err = call("--task=hopper_3x1", "--quality=random", "--rows=0", f"--data_dir={tmp_path}")
  assert "rows=0 must be at least 1" in binaries.sentence(status, err)
