"""Snapshots in an object store: the store beside a workspace is lost, the object store goes away and
comes back, what it has is damaged, aged and removed, and everything that was acknowledged comes back
byte by byte, or not at all."""

import os
import random
import shutil
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

import grpc

import wire
from object_store import ObjectStore
from postgres import Postgres
from runner_test import Work
from server import PROGRAM, Server, eventually, free_port
from work import code_of, new_workspace

MIB = 1 << 20
DAY = 24 * 3_600


class Desk:
    """A workspace and its snapshots."""

    def __init__(self, server: Server, name: str = "snapshots"):
        self.client = server.client()
        self.id = new_workspace(self.client, name).id
        self.base = server.data / "workspaces" / self.id
        self.store = self.base / "store"

    def write(self, path: str, contents: bytes) -> None:
        (self.base / "files" / path).write_bytes(contents)

    def tree(self) -> dict[str, bytes]:
        files = self.base / "files"
        return {str(path.relative_to(files)): path.read_bytes() for path in files.rglob("*")}

    def take(self, timeout: float = 60) -> str:
        request = wire.snapshot.CreateSnapshotRequest(workspace_id=self.id)
        return self.client.snapshots.CreateSnapshot(request, timeout=timeout).snapshot.id

    def restore(self, snapshot: str) -> None:
        request = wire.snapshot.RestoreSnapshotRequest(workspace_id=self.id, snapshot_id=snapshot)
        self.client.snapshots.RestoreSnapshot(request, timeout=60)

    def export(self, snapshot: str) -> bytes:
        request = wire.snapshot.ExportSnapshotRequest(workspace_id=self.id, snapshot_id=snapshot)
        parts = self.client.snapshots.ExportSnapshot(request, timeout=60)
        return b"".join(part.chunk for part in parts)

    def delete(self, snapshot: str) -> None:
        request = wire.snapshot.DeleteSnapshotRequest(workspace_id=self.id, snapshot_id=snapshot)
        self.client.snapshots.DeleteSnapshot(request, timeout=60)

    def list(self) -> list[str]:
        request = wire.snapshot.ListSnapshotsRequest(workspace_id=self.id)
        return [one.id for one in self.client.snapshots.ListSnapshots(request, timeout=20).snapshots]

    def diff(self, before: str, path: str) -> str:
        """The lines that were there and are not any more."""
        scope = wire.change.ChangeScope(snapshots=wire.change.SnapshotPair(before_id=before))
        request = wire.change.GetFileDiffRequest(workspace_id=self.id, scope=scope, path=path)
        hunks = self.client.changes.GetFileDiff(request, timeout=20).hunks
        return str(hunks)

    def lose_store(self) -> None:
        lost = self.store.rename(self.base / "lost")
        shutil.rmtree(lost)

    def contents_here(self) -> int:
        return sum(path.is_file() for path in (self.store / "blobs").rglob("*"))

    def age(self, seconds: float) -> None:
        written = time.time() - seconds
        for path in (self.store / "blobs").rglob("*"):
            os.utime(path, (written, written))


class Objects(unittest.TestCase):
    def setUp(self):
        self.store = ObjectStore()
        self.addCleanup(self.store.stop)
        self.server = Server(*self.store.flags(), environment=self.store.environment())
        self.addCleanup(self.server.stop)
        self.random = random.Random(7)

    def restart(self) -> None:
        self.server.kill()
        self.server.start()

    def test_what_was_acknowledged_comes_back_without_the_local_store(self):
        desk = Desk(self.server)
        desk.write("small.txt", b"one\ntwo\n")
        desk.write("empty", b"")
        desk.write("large", self.random.randbytes(9 * MIB))
        before = desk.tree()
        snapshot = desk.take()
        archive = desk.export(snapshot)
        desk.write("small.txt", b"one\nthree\n")
        desk.write("large", b"not any more")
        desk.write("new", b"new")
        desk.lose_store()
        self.assertIn("two", desk.diff(snapshot, "small.txt"))
        desk.lose_store()
        self.assertEqual(desk.export(snapshot), archive)
        desk.lose_store()
        now = desk.tree()
        desk.restore(snapshot)
        self.assertEqual(desk.tree(), before)
        # What was there before can be had back, too.
        desk.lose_store()
        desk.restore(desk.list()[0])
        self.assertEqual(desk.tree(), now)

    def test_a_store_that_goes_away_in_the_middle_leaves_no_snapshot(self):
        desk = Desk(self.server)
        desk.write("large", self.random.randbytes(64 * MIB))
        before = desk.tree()
        codes = []
        taking = threading.Thread(target=lambda: codes.append(code_of(desk.take)))
        taking.start()
        eventually("it is on its way", lambda: self.store.objects("/contents/"))
        self.store.kill()
        taking.join(60)
        self.assertEqual(codes, [grpc.StatusCode.UNAVAILABLE])
        self.assertEqual(desk.list(), [])
        self.assertEqual(self.store.objects("/manifests/"), {})
        began = time.monotonic()
        self.assertEqual(code_of(desk.take), grpc.StatusCode.UNAVAILABLE)
        self.assertLess(time.monotonic() - began, 20)
        self.assertTrue(self.server.is_healthy())
        self.store.start()
        snapshot = desk.take()
        desk.write("large", b"")
        desk.lose_store()
        desk.restore(snapshot)
        self.assertEqual(desk.tree(), before)

    def test_an_edit_in_a_large_file_sends_little(self):
        desk = Desk(self.server)
        large = self.random.randbytes(64 * MIB)
        desk.write("large", large)
        desk.take()
        sent = sum(self.store.objects().values())
        self.assertGreaterEqual(sent, 64 * MIB)
        self.assertLess(sent, 65 * MIB)
        half = len(large) // 2
        edited = large[:half] + b"inserted in the middle" + large[half:]
        desk.write("large", edited)
        snapshot = desk.take()
        more = sum(self.store.objects().values()) - sent
        self.assertLess(more, 9 * MIB)
        desk.write("large", b"")
        desk.lose_store()
        desk.restore(snapshot)
        self.assertEqual(desk.tree(), {"large": edited})

    def test_what_is_damaged_is_refused(self):
        desk = Desk(self.server)
        desk.write("small", b"some contents")
        desk.write("large", self.random.randbytes(3 * MIB))
        snapshot = desk.take()
        desk.write("small", b"other contents")
        desk.write("large", b"")
        now = desk.tree()
        self.assertGreater(self.store.damage("/contents/"), 2)
        # What is here is not asked for.
        desk.restore(snapshot)
        desk.restore(desk.list()[0])
        self.assertEqual(desk.tree(), now)
        desk.lose_store()
        for read in (desk.restore, desk.export):
            with self.assertRaises(grpc.RpcError) as refused:
                read(snapshot)
            self.assertEqual(refused.exception.code(), grpc.StatusCode.DATA_LOSS)
            self.assertIn("damaged", refused.exception.details())
        self.assertEqual(desk.tree(), now)

    def test_what_no_snapshot_needs_goes_and_all_else_stays(self):
        desk = Desk(self.server)
        shared, lonely = self.random.randbytes(3 * MIB), self.random.randbytes(2 * MIB)
        desk.write("shared", shared)
        desk.write("lonely", lonely)
        first = desk.take()
        desk.write("lonely", b"another")
        before = desk.tree()
        second = desk.take()
        for name in ("shared", "lonely"):
            desk.write(name, b"nothing of it any more")
        last = desk.take()
        desk.delete(first)
        # What is new stays, though nothing needs it.
        there = self.store.objects()
        self.restart()
        time.sleep(1)
        self.assertEqual(self.store.objects(), there)
        self.store.age(DAY)
        desk.age(DAY)
        here = desk.contents_here()
        self.restart()
        eventually("objects are gone", lambda: len(self.store.objects("/manifests/")) == 2)
        left = lambda: sum(self.store.objects().values()) < 4 * MIB  # noqa: E731
        eventually("their contents are gone", left)
        self.assertGreater(sum(self.store.objects().values()), 3 * MIB)
        # The local store is no more than a cache.
        eventually("nothing is here that is there", lambda: desk.contents_here() < here)
        desk.restore(second)
        self.assertEqual(desk.tree(), before)
        self.assertEqual(set(desk.list()) & {first, second, last}, {second, last})

    def test_workspaces_share_nothing(self):
        contents = self.random.randbytes(2 * MIB)
        desks = [Desk(self.server, name) for name in ("one", "other")]
        for desk in desks:
            desk.write("file", contents)
        first, second = desks
        first.take()
        there = self.store.objects(first.id)
        self.assertEqual(self.store.objects(), there)
        snapshot = second.take()
        self.assertEqual(len(self.store.objects(second.id)), len(there))
        self.assertEqual(self.store.objects(first.id), there)
        request = wire.workspace.DeleteWorkspaceRequest(workspace_id=first.id)
        first.client.workspaces.DeleteWorkspace(request, timeout=20)
        eventually("its objects are gone", lambda: not self.store.objects(first.id))
        second.write("file", b"")
        second.lose_store()
        second.restore(snapshot)
        self.assertEqual(second.tree(), {"file": contents})

    def test_a_workspace_that_goes_while_the_store_is_away_leaves_nothing(self):
        desk = Desk(self.server)
        desk.write("file", b"contents")
        desk.take()
        self.store.kill()
        request = wire.workspace.DeleteWorkspaceRequest(workspace_id=desk.id)
        desk.client.workspaces.DeleteWorkspace(request, timeout=20)
        self.server.kill()
        self.store.start()
        self.assertTrue(self.store.objects(desk.id))
        self.server.start()
        eventually("its objects are gone", lambda: not self.store.objects(desk.id))

    def test_who_sends_blob_by_blob_sends_nothing_twice(self):
        desk = Desk(self.server)
        desk.write("small", b"some contents")
        desk.write("large", self.random.randbytes(3 * MIB))
        before = desk.tree()
        snapshot = desk.take()
        there = self.store.objects("/contents/")
        desk.lose_store()
        read = wire.snapshot.ReadManifestRequest(workspace_id=desk.id, snapshot_id=snapshot)
        parts = desk.client.snapshots.ReadManifest(read, timeout=20)
        entries = [entry for part in parts for entry in part.entries]
        files = [wire.snapshot.SnapshotFile(digest="blake3:" + "0" * 64, size=1)]
        files += [entry.file for entry in entries]
        find = wire.snapshot.FindMissingBlobsRequest(workspace_id=desk.id, files=files)
        missing = desk.client.snapshots.FindMissingBlobs(find, timeout=20).digests
        self.assertEqual(list(missing), [files[0].digest])
        # The same files at other paths.
        for entry in entries:
            entry.path = f"other-{entry.path}"
        header = wire.snapshot.SnapshotHeader(workspace_id=desk.id)
        messages = [
            wire.snapshot.CommitSnapshotRequest(header=header),
            wire.snapshot.CommitSnapshotRequest(
                entries=wire.snapshot.SnapshotEntries(entries=entries)
            ),
        ]
        committed = desk.client.snapshots.CommitSnapshot(iter(messages), timeout=20).snapshot.id
        # Its manifest is all that is new.
        self.assertEqual(len(self.store.objects("/contents/")), len(there) + 1)
        desk.lose_store()
        desk.restore(committed)
        self.assertEqual(desk.tree(), {f"other-{path}": data for path, data in before.items()})

    def test_runs_begin_and_end_in_it(self):
        server = Server(
            *self.store.flags(),
            "--embedded-runner",
            "true",
            environment=self.store.environment(),
        )
        self.addCleanup(server.stop)
        desk = Desk(server)
        desk.write("given", b"given")
        work = Work(server, desk.id)
        run = work.queue("!bash cat given > made")
        work.applied(run)
        self.assertEqual(desk.tree()["made"], b"given")
        # The base, the result, and what was there before that was applied.
        self.assertEqual(len(desk.list()), 3)
        names = self.store.objects(f"{desk.id}/manifests/")
        self.assertGreaterEqual(len(names), 2)
        base = desk.list()[-1]
        desk.lose_store()
        desk.restore(base)
        self.assertEqual(desk.tree(), {"given": b"given"})


class Together(unittest.TestCase):
    """Two servers with one database, one directory of workspaces and one object store."""

    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres()

    @classmethod
    def tearDownClass(cls):
        cls.postgres.stop()

    def test_what_one_has_sent_the_other_brings_back(self):
        store = ObjectStore()
        self.addCleanup(store.stop)
        flags = (*self.postgres.flags(), *store.flags())
        first = Server(*flags, environment=store.environment())
        self.addCleanup(first.stop)
        second = Server(beside=first)
        self.addCleanup(second.stop)
        desk = Desk(first)
        desk.write("file", random.Random(7).randbytes(2 * MIB))
        before = desk.tree()
        snapshot = desk.take()
        doomed = []
        desk.client = second.client()
        for number in range(5):
            desk.write("file", bytes([number]) * MIB)
            doomed.append(desk.take())
        for one in doomed:
            desk.delete(one)
        store.age(DAY)
        desk.age(DAY)
        # Both look for what may go, at the same time.
        for server in (first, second):
            server.kill()
        for server in (first, second):
            server.start()
        eventually("objects are gone", lambda: len(store.objects("/manifests/")) == 1)
        desk.lose_store()
        desk.restore(snapshot)
        self.assertEqual(desk.tree(), before)


class Changing(unittest.TestCase):
    """From files to an object store, and what a start says when there is none."""

    def setUp(self):
        self.store = ObjectStore()
        self.addCleanup(self.store.stop)

    def test_snapshots_from_before_are_sent_and_kept_until_then(self):
        server = Server()
        self.addCleanup(server.stop)
        desk = Desk(server)
        desk.write("file", b"as it was")
        snapshot = desk.take()
        desk.write("file", b"as it is")
        desk.take()
        server.kill()
        desk.age(DAY)
        server._flags = tuple(self.store.flags())
        server.environment = self.store.environment()
        server.start()
        eventually("both are there", lambda: len(self.store.objects("/manifests/")) == 2)
        desk.lose_store()
        desk.restore(snapshot)
        self.assertEqual(desk.tree(), {"file": b"as it was"})

    def test_a_start_without_a_usable_bucket_says_why_and_tells_no_key(self):
        wrong = self.store.environment(AWS_SECRET_ACCESS_KEY="w" * 40)
        nobody = self.store.environment(AWS_ENDPOINT_URL=f"http://127.0.0.1:{free_port()}")
        keyless = self.store.environment(AWS_SECRET_ACCESS_KEY="")
        for environment, words in [
            (wrong, "SignatureDoesNotMatch"),
            (nobody, "writing an object failed"),
            (keyless, "needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        ]:
            with tempfile.TemporaryDirectory() as data:
                command = [PROGRAM, "serve", "--data-dir", data, "--embedded-runner", "false"]
                command += ["--listen", f"127.0.0.1:{free_port()}", *self.store.flags()]
                ended = subprocess.run(
                    command,
                    env={**os.environ, "MEMBRANE_LOG": "trace", **environment},
                    capture_output=True,
                    text=True,
                    timeout=60,
                )
                said = ended.stdout + ended.stderr
                self.assertNotEqual(ended.returncode, 0, said[-2000:])
                self.assertIn(words, said)
                for secret in (self.store.key, self.store.key_id, "w" * 40):
                    self.assertNotIn(secret, said)

    def test_no_log_line_has_a_key(self):
        token = "a session token of a test, of some length"
        environment = self.store.environment(AWS_SESSION_TOKEN=token, MEMBRANE_LOG="trace")
        server = Server(*self.store.flags(), environment=environment)
        self.addCleanup(server.stop)
        desk = Desk(server)
        desk.write("file", b"contents")
        snapshot = desk.take()
        desk.lose_store()
        desk.export(snapshot)
        self.store.kill()
        desk.write("file", b"others")
        self.assertEqual(code_of(desk.take), grpc.StatusCode.UNAVAILABLE)
        log = Path(server.data / "serve.log").read_text(errors="replace")
        self.assertIn("object_store", log)
        for secret in (self.store.key, self.store.key_id, token):
            self.assertNotIn(secret, log)


if __name__ == "__main__":
    unittest.main()
