"""Every kind of bad folder is refused in one sentence that names the file, the field and the row."""

import hashlib
import json
import pathlib

import numpy as np
import pytest

from marl_offline.datasets import checks, storage
from tests.datasets import made
from tests.datasets.made import refused


@pytest.fixture
def folder(tmp_path):
  """A sound data set of 8 rows in 3 episodes."""
  storage.save(tmp_path / "made-medium-replay-v1", made.episodes((3, 1, 4)), **made.FACTS)
  return tmp_path / "made-medium-replay-v1"


def plant(folder, name, array):
  """Replaces an array and its hash, as somebody who writes the format by hand would."""
  np.save(folder / f"{name}.npy", array)
  rehash(folder, name)


def rehash(folder, name):
  digest = hashlib.sha256((folder / f"{name}.npy").read_bytes()).hexdigest()
  change_card(folder, lambda card: card["sha256"].update({name: digest}))


def change_card(folder, change):
  card = json.loads((folder / "card.json").read_text())
  change(card)
  (folder / "card.json").write_text(json.dumps(card))


def test_missing_things(folder, tmp_path):
  refused(lambda: storage.load(tmp_path / "nowhere"), "nowhere: does not exist", "card.json")
  refused(lambda: storage.load(folder / "card.json"), "is a file")
  (folder / "reward.npy").unlink()
  refused(lambda: storage.load(folder, verify=False), "reward.npy: is missing", "[rows, agents]")
  (folder / "card.json").unlink()
  refused(lambda: storage.load(folder), "has no card.json")


@pytest.mark.parametrize("name", sorted(name for name, field in checks.FIELDS.items() if field.required))
def test_an_altered_byte(folder, name):
  path = folder / f"{name}.npy"
  content = bytearray(path.read_bytes())
  content[-1] ^= 1
  path.write_bytes(content)
  refused(lambda: storage.load(folder), path, "has changed", "sha256")


def test_any_altered_byte_of_a_header(folder):
  path = folder / "terminated.npy"
  content = path.read_bytes()
  for at in range(len(content)):
    path.write_bytes(content[:at] + bytes([content[at] ^ 0x15]) + content[at + 1 :])
    refused(lambda: storage.load(folder), "terminated.npy")


def test_truncated_long_and_foreign_files(folder):
  path = folder / "obs.npy"
  content = path.read_bytes()
  for broken, word in ((content[:-4], "cut short"), (content + b"1234", "too long"), (b"", "header")):
    path.write_bytes(broken)
    refused(lambda: storage.load(folder, verify=False), "obs.npy", word)
  path.write_bytes(b"PK\x03\x04 this is no array")
  refused(lambda: storage.load(folder, verify=False), "obs.npy", "no readable .npy header")


class Bomb:
  def __reduce__(self):
    return (pathlib.Path.touch, (pathlib.Path("exploded"),))


@pytest.mark.parametrize("mmap", [True, False])
def test_pickles_are_never_opened(folder, monkeypatch, mmap):
  monkeypatch.chdir(folder)
  np.save(folder / "obs.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
  refused(lambda: storage.load(folder, mmap=mmap, verify=False), "obs.npy", "pickled")
  assert not (folder / "exploded").exists()


@pytest.mark.parametrize(
  ("name", "change", "words"),
  [
    ("obs", lambda x: np.where(x == 200.0, np.float32(np.nan), x), ("row 4, agent 0, component 0 is nan", "finite")),
    ("obs", lambda x: x.astype(np.float64), ("holds float64 where float32 is expected",)),
    ("obs", lambda x: x.astype(">f4"), ("holds >f4 where float32 is expected",)),
    ("obs", lambda x: np.asfortranarray(x), ("column by column",)),
    ("action", lambda x: x[:-1], ("has 7 rows where obs has 8",)),
    ("action", lambda x: x + np.float32(0.985), ("row 4, agent 0, component 0 is 1.005", "must lie in [-1, 1]")),
    ("final_action", lambda x: x - np.float32(1.5), ("episode 0, agent 0, component 0 is -1.4997",)),
    ("final_obs", lambda x: x[:-1], ("has 2 episodes", "mark 3 ends")),
    ("truncated", lambda x: x & False, ("row 7, the last one, ends no episode",)),
    ("terminated", lambda x: x.astype(np.uint8), ("holds uint8 where bool is expected",)),
  ],
)
def test_wrong_arrays_whose_hash_agrees(folder, name, change, words):
  sound = np.load(folder / f"{name}.npy")
  if name == "truncated":  # the last episode of `folder` terminated: make it a truncated one first
    plant(folder, "terminated", np.load(folder / "terminated.npy") & (np.arange(8) < 7))
  plant(folder, name, change(sound))
  refused(lambda: storage.load(folder), folder / f"{name}.npy: ", *words)


def test_no_rows(folder):
  for name in checks.FIELDS:
    if (folder / f"{name}.npy").exists():
      plant(folder, name, np.load(folder / f"{name}.npy")[:0])
  refused(lambda: storage.load(folder), "obs.npy: has no rows")


@pytest.mark.parametrize(
  ("change", "words"),
  [
    (lambda card: card.pop("seed"), ("has no 'seed'",)),
    (lambda card: card.pop("sha256"), ("has no 'sha256'",)),
    (lambda card: card["sha256"].pop("obs"), ("'sha256' has no 'obs'",)),
    (lambda card: card["sha256"].update(noise="0"), ("'sha256' names 'noise'", "known are obs")),
    (lambda card: card["sha256"].update(state="0"), ("state.npy: is missing",)),
    (lambda card: card.update(rows="8"), ("'rows' is '8' where int is expected",)),
    (lambda card: card.update(rows=9), ("'rows' is 9 where the arrays have 8",)),
    (lambda card: card.update(episodes=True), ("'episodes' is True where int is expected",)),
    (lambda card: card.update(format=2), ("'format' is 2 where this program reads 1",)),
    (lambda card: card.update(origin="bought"), ("'origin' is 'bought'",)),
    (lambda card: card["return"].update(mean=55.0), ("'return.mean' is 55.0 where the arrays have 30.36",)),
    (lambda card: card["return"].pop("mean"), ("'return.mean' is None",)),
    (lambda card: card.update(action_range=[0]), ("'action_range' is [0]",)),
  ],
)
def test_wrong_cards(folder, change, words):
  change_card(folder, change)
  refused(lambda: storage.load(folder), *words)


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", "\ud800".encode("utf-16", "surrogatepass"), "[" * 100_000])
def test_cards_that_are_no_card(folder, text):
  (folder / "card.json").write_bytes(text if isinstance(text, bytes) else text.encode())
  refused(lambda: storage.load(folder), "card.json")


def test_a_stray_state_is_no_silent_part(folder):
  np.save(folder / "state.npy", np.zeros((8, 2), np.float32))
  refused(lambda: storage.load(folder), "state.npy: is not named")


def test_all_faults_are_told(folder):
  plant(folder, "obs", np.load(folder / "obs.npy") * np.float32(np.nan))
  plant(folder, "action", np.load(folder / "action.npy") + 2)
  (folder / "reward.npy").unlink()
  change_card(folder, lambda card: card.pop("seed"))
  episodes, card, faults = storage.examine(folder)
  assert episodes is None and card["task"] == "made"
  assert [any(word in fault for fault in faults) for word in ("nan", "[-1, 1]", "reward.npy", "'seed'")] == [True] * 4
  assert len(faults) == 4  # the missing file is told once


def test_a_sound_set_has_no_faults(folder):
  episodes, card, faults = storage.examine(folder)
  assert episodes.num_rows == card["rows"] == 8 and faults == []
  assert storage.examine(folder / "nowhere")[:2] == (None, None)


def test_unverified_load_reads_no_values(folder):
  plant(folder, "obs", np.load(folder / "obs.npy") * np.float32(np.nan))
  assert np.isnan(storage.load(folder, verify=False)[0].obs).all()


def test_an_unverified_load_refuses_what_is_no_data_set_at_all(folder):
  ends = np.load(folder / "terminated.npy")
  plant(folder, "terminated", ends.astype(np.float32))
  refused(lambda: storage.load(folder, verify=False), "terminated.npy: holds float32 where bool is expected")
  plant(folder, "terminated", ends[:-1])
  refused(lambda: storage.load(folder, verify=False), "they must be equal")
