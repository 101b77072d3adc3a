"""The journal: what is written is there after a kill, and what is wrong is said in one line."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from stepnav.core.budget import Usage
from stepnav.core.codec import encode_usage
from stepnav.core.errors import JournalError
from stepnav.run.database import is_begun
from stepnav.run.driver import Driver
from stepnav.run.journal import Entry, Journal
from stepnav.run.transcript import Transcript
from stepnav.testing import comparable, random_world
from tests.worlds import make_search

ROOT = Path(__file__).resolve().parents[2]

KILLED_RUN = """
import sys, time
from pathlib import Path
from stepnav.run.driver import Driver
from stepnav.run.journal import Journal
from tests.run.test_journal import searches
from stepnav.testing import random_world

journal = Journal(Path(sys.argv[1]), "config")
policy, reward = random_world(5)
print("ready", flush=True)
driver = Driver({"policy": policy, "reward": reward}, journal=journal, max_active=4)
for result in driver.run(searches()):
    time.sleep(0.002)
"""


def searches():
    return [
        make_search(name, name=f"{name}/{i}", problem=f"p{i}")
        for name in ("hgs", "beam", "weighted_vote")
        for i in range(20)
    ]


@pytest.mark.parametrize("delay_s", [0.0, 0.01, 0.03, 0.06, 0.1])
def test_a_killed_process_resumes_to_the_same_results(tmp_path, delay_s):
    path = tmp_path / "journal.sqlite"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED_RUN, str(path)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
    )
    assert process.stdout is not None
    process.stdout.readline()
    try:
        process.wait(delay_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    process.communicate()
    journal = Journal(path, "config")
    answered = journal.num_answers()
    policy, reward = random_world(5)
    driver = Driver({"policy": policy, "reward": reward}, journal=journal)
    list(driver.run(searches()))
    resumed = {result.search_id: comparable(result) for result in journal.results()}
    undisturbed = Driver({"policy": policy, "reward": reward})
    assert resumed == {r.search_id: comparable(r) for r in undisturbed.run(searches())}
    assert answered + driver.num_asked == undisturbed.num_asked


def test_another_configuration_is_refused(tmp_path):
    Journal(tmp_path / "j.sqlite", "aaaa").close()
    with pytest.raises(JournalError, match=r"made with other settings .*aaaa, now bbbb"):
        Journal(tmp_path / "j.sqlite", "bbbb")


def test_a_file_that_is_no_journal(tmp_path):
    path = tmp_path / "j.sqlite"
    path.write_text("this is not a database, it is a text of some length")
    with pytest.raises(JournalError, match="cannot open the journal"):
        Journal(path)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(JournalError, match="cannot open the journal"):
        Journal(tmp_path / "nowhere" / "j.sqlite")


def test_a_full_disk_keeps_what_was_written(tmp_path):
    journal = Journal(tmp_path / "j.sqlite")
    journal.append([Entry("s", 0, "d", 0.0, [[], [], None, None])])
    journal._db.execute("PRAGMA max_page_count = 10")
    with pytest.raises(JournalError, match=r"full.*free some space, then resume"):
        journal.append([Entry("s", n, "d", 0.0, ["x" * 4000]) for n in range(1, 50)])
    assert journal.num_answers() == 1
    journal.close()
    assert Journal(tmp_path / "j.sqlite").num_answers() == 1


def test_a_torn_file_is_reported(tmp_path):
    path = tmp_path / "j.sqlite"
    journal = Journal(path)
    policy, reward = random_world(5)
    list(Driver({"policy": policy, "reward": reward}, journal=journal).run(searches()[:20]))
    journal.close()
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(JournalError, match=r"cannot (open|read) the journal"):
        list(Journal(path).results())


@pytest.mark.parametrize(("log", "is_read"), [(b"", True), (b"rows", False)])
def test_a_journal_beside_which_nothing_can_be_written_is_read_if_its_log_is_empty(
    tmp_path, log, is_read
):
    path = tmp_path / "j.sqlite"
    journal = Journal(path)
    journal.add_span("hgs/", 1.0)
    journal.close()
    (tmp_path / "j.sqlite-wal").write_bytes(log)  # as one that only read leaves it
    (tmp_path / "j.sqlite-shm").symlink_to(tmp_path / "no" / "folder")  # where SQLite would write
    if is_read:
        assert Journal(path, is_read_only=True).spans() == {"hgs/": 1.0}
    else:
        with pytest.raises(JournalError, match="cannot open the journal"):
            Journal(path, is_read_only=True)


@pytest.mark.parametrize("payload", ["{", "[]", '{"tree": 5}', "null"])
def test_a_damaged_result_is_one_line(tmp_path, payload):
    journal = Journal(tmp_path / "j.sqlite")
    policy, reward = random_world(5)
    list(Driver({"policy": policy, "reward": reward}, journal=journal).run(searches()[:3]))
    journal._db.execute("UPDATE results SET payload = ?", [payload])
    with pytest.raises(JournalError, match=r"is damaged at search .*take it from a backup"):
        list(journal.results())


def test_a_result_that_is_listed_and_not_there_is_damage(tmp_path):
    path = tmp_path / "j.sqlite"
    journal = Journal(path)
    policy, reward = random_world(5)
    list(Driver({"policy": policy, "reward": reward}, journal=journal).run(searches()[:3]))
    (*_, last) = journal.result_ids()
    query = "SELECT rootpage FROM sqlite_master WHERE type = 'index' AND tbl_name = 'results'"
    ((page,),) = journal._db.execute(query)
    ((size,),) = journal._db.execute("PRAGMA page_size")
    journal.close()
    content = bytearray(path.read_bytes())
    at = content.index(last.encode(), (page - 1) * size)
    assert at < page * size
    content[at] = 0
    path.write_bytes(content)
    with pytest.raises(JournalError, match="is damaged at search"):
        list(Journal(path, is_read_only=True).results())


@pytest.mark.parametrize("payload", ["{", "[]", "[[[1]], 2, 3, 4]", "null"])
def test_a_damaged_answer_is_one_line(tmp_path, payload):
    journal = Journal(tmp_path / "j.sqlite")
    policy, reward = random_world(5)
    list(Driver({"policy": policy, "reward": reward}, journal=journal).run(searches()[:3]))
    journal._db.execute("DELETE FROM results")
    journal._db.execute("UPDATE answers SET payload = ?", [payload])
    with pytest.raises(JournalError, match=r"damaged .*take (it|the journal) from a backup"):
        list(Driver({"policy": policy, "reward": reward}, journal=journal).run(searches()[:3]))


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE answers SET elapsed_s = 'soon'",
        "UPDATE answers SET number = 'first'",
        "UPDATE answers SET search_id = x'ff'",
        "UPDATE answers SET payload = x'ff'",
        "UPDATE results SET payload = NULL",
        "UPDATE spans SET name = x'ff'",
        "UPDATE answers SET payload = '[[], [1, 2, 3, 4, Infinity, 6, 7, 8, 9, 10], null, null]'",
    ],
)
def test_values_of_other_kinds_are_damage(tmp_path, damage):
    path = tmp_path / "j.sqlite"
    journal = Journal(path)
    policy, reward = random_world(5)
    list(Driver({"policy": policy, "reward": reward}, journal=journal).run(searches()[:3]))
    journal.add_span("hgs/", 1.0)
    journal._db.execute("DELETE FROM results WHERE rowid = 1")
    journal._db.execute("PRAGMA ignore_check_constraints = 1")
    journal._db.execute("CREATE TABLE loose AS SELECT * FROM results")
    journal._db.execute("DROP TABLE results")
    journal._db.execute("ALTER TABLE loose RENAME TO results")
    journal._db.execute(damage)
    with pytest.raises(JournalError, match="damaged"):  # noqa: PT012
        list(journal.results())
        journal.spans()
        list(Driver({"policy": policy, "reward": reward}, journal=journal).run(searches()[:3]))


@pytest.mark.parametrize("number", ["Infinity", "NaN", "1e400", "9" * 400, '"12"', "[]", "null"])
def test_a_cost_that_is_no_number_is_damage(tmp_path, number):
    journal = Journal(tmp_path / "j.sqlite")
    policy, reward = random_world(5)
    list(Driver({"policy": policy, "reward": reward}, journal=journal).run(searches()[:1]))
    (payload,) = journal._db.execute("SELECT payload FROM results").fetchone()
    value = json.loads(payload)
    value["usage"]["policy_tokens"] = "<here>"
    text = json.dumps(value).replace('"<here>"', number)
    journal._db.execute("UPDATE results SET payload = ?", [text])
    with pytest.raises(JournalError, match="is damaged at search"):
        list(journal.results())


@pytest.mark.parametrize("is_read_only", [True, False])
def test_damaged_text_in_the_schema_is_one_line(tmp_path, is_read_only):
    path = tmp_path / "j.sqlite"
    journal = Journal(path)
    journal.close()
    content = path.read_bytes()
    for old, new in (
        (b"CREATE TABLE", b"CREATE TAB\xff\xc3"),
        (b"tablemeta", b"table\xff\xfe\xc3\x28"),
    ):
        assert old in content
        path.write_bytes(content.replace(old, new))
        with pytest.raises(JournalError, match=r"cannot (open|read) the journal"):
            list(Journal(path, is_read_only=is_read_only).results())


def test_a_verdict_on_an_earlier_try_does_not_outlive_it(tmp_path):
    journal = Journal(tmp_path / "j.sqlite")
    policy, reward = random_world(5)
    results = list(Driver({"policy": policy, "reward": reward}).run(searches()[:2]))
    journal.append_results(results)
    for result in results:
        journal.add_verdict(result.search_id, False)
    journal.append_results(results[:1])  # another try of it
    assert journal.verdicts() == {results[1].search_id: False}


@pytest.mark.parametrize("makes", [(), ("PRAGMA journal_mode=WAL",)])
def test_a_journal_whose_making_was_stopped_is_made_again(tmp_path, makes):
    path = tmp_path / "j.sqlite"
    assert not is_begun(path)
    path.touch()
    with contextlib.closing(sqlite3.connect(path)) as database:
        for statement in makes:
            database.execute(statement)
    assert not is_begun(path)
    journal = Journal(path, "config")
    assert is_begun(path)
    assert list(journal.results()) == []
    journal.close()


def test_a_journal_is_read_without_being_written(tmp_path):
    path = tmp_path / "j.sqlite"
    journal = Journal(path, "config")
    policy, reward = random_world(5)
    list(Driver({"policy": policy, "reward": reward}, journal=journal).run(searches()[:3]))
    assert len(list(Journal(path, is_read_only=True).results())) == 3  # while it is open
    journal.close()
    before = path.read_bytes()
    reader = Journal(path, is_read_only=True)
    assert len(list(reader.results())) == 3
    with pytest.raises(JournalError, match="readonly"):
        reader.add_span("hgs/", 1.0)
    reader.close()
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"this is not a database, it is a text"])
def test_what_is_no_journal_is_not_made_one_by_reading(tmp_path, content):
    path = tmp_path / "j.sqlite"
    path.write_bytes(content)
    with pytest.raises(JournalError, match=r"cannot open the journal .*is it a run folder\?"):
        Journal(path, is_read_only=True)
    assert path.read_bytes() == content


def test_spans_add_up(tmp_path):
    journal = Journal(tmp_path / "j.sqlite")
    journal.add_span("hgs/", 1.5)
    journal.add_span("hgs/", 2.0)
    assert journal.spans() == {"hgs/": 3.5}


def test_answers_are_there_before_a_program_sees_them(tmp_path):
    """Whenever a backend is asked, everything answered so far is committed."""
    path = tmp_path / "j.sqlite"
    policy, reward = random_world(5)
    journal = Journal(path)
    reader = sqlite3.connect(path)
    answered = [0]

    class Watch:
        def __init__(self, backend):
            self._backend = backend

        def submit(self, ticket, request):
            (count,) = reader.execute("SELECT COUNT(*) FROM answers").fetchone()
            assert count == answered[0]
            self._backend.submit(ticket, request)

        def poll(self, timeout_s):
            answers = self._backend.poll(timeout_s)
            answered[0] += len(answers)
            return answers

        def __getattr__(self, name):
            return getattr(self._backend, name)

    list(
        Driver({"policy": Watch(policy), "reward": Watch(reward)}, journal=journal).run(
            searches()[:2]
        )
    )
    reader.close()


def test_what_the_clock_took_back_is_not_taken_for_the_next_batch():
    """A batch of two scores of which one was answered, then refused, then the process was
    killed."""
    entries = [
        Entry("s", 0, "first", 0.1, {}),
        Entry("s", 1, "second", 0.1, {}),
        Entry("s", 0, "refused", 0.2, encode_usage(Usage(reward_calls=2))),
    ]
    transcript = Transcript("s", entries)
    assert transcript.next_refusal() == Usage(reward_calls=2)
    assert transcript.number == 1 and transcript.next() is None and not transcript.is_behind


def test_the_newest_results_are_kept(tmp_path):
    policy, reward = random_world(3)
    journal = Journal(tmp_path / "j.sqlite")
    models = {"policy": policy, "reward": reward}
    results = list(Driver(models).run(make_search("cot", name=str(i)) for i in range(5)))
    for result in sorted(results, key=lambda r: r.search_id):
        journal.append_results([result])
    journal.keep_newest(2)
    assert journal.result_ids() == ["3", "4"]
    assert journal.result("4").search_id == "4"
    assert journal.result("1") is None
    journal.close()
