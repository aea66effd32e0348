"""A real repository of thousands of files: brought as a zip, browsed, edited by a person, changed by
an agent with tools and commands, reviewed, partly undone, and taken away again."""

import io
import os
import stat
import unittest
import zipfile
from pathlib import Path

import wire
from server import Server
from work import new_session, outcome, turn

REGISTRY = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo")) / "registry" / "src"
FILES = 5_000
CHUNK = 1 << 20

STATUS = {
    wire.change.CHANGE_STATUS_ADDED: "A",
    wire.change.CHANGE_STATUS_DELETED: "D",
    wire.change.CHANGE_STATUS_MODIFIED: "M",
    wire.change.CHANGE_STATUS_RENAMED: "R",
    wire.change.CHANGE_STATUS_MODE: "X",
}


def sources():
    """Files of crates, as many as make five thousand, and where they go in the archive."""
    count = 0
    for crate in sorted(crate for index in REGISTRY.glob("*") for crate in index.glob("*-*")):
        for path in sorted(path for path in crate.rglob("*") if path.is_file()):
            yield path, path.relative_to(crate.parent)
            count += 1
        if count >= FILES:
            return
    raise AssertionError(f"{REGISTRY} has only {count} files: run cargo fetch")


def repository() -> bytes:
    buffer = io.BytesIO()
    # Files of crates are dated 1970, which a zip cannot say.
    options = {"compresslevel": 1, "strict_timestamps": False}
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for path, name in sources():
            archive.write(path, name)
    return buffer.getvalue()


def tree(directory: Path) -> dict:
    """Every file's bytes and whether it can be executed, by path."""
    found = {}
    for path in directory.rglob("*"):
        if path.is_file() and not path.is_symlink():
            executable = bool(path.stat().st_mode & stat.S_IXUSR)
            found[str(path.relative_to(directory))] = (path.read_bytes(), executable)
    return found


def unzipped(data: bytes) -> dict:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {
            entry.filename: (archive.read(entry), bool(entry.external_attr >> 16 & stat.S_IXUSR))
            for entry in archive.infolist()
            if not entry.is_dir()
        }


class Repository(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.client = cls.server.client()
        cls.data = repository()
        imported = cls.client.workspaces.ImportWorkspace(cls.parts(), timeout=120)
        cls.count = imported.file_count
        cls.workspace = imported.workspace.id
        cls.directory = cls.server.data / "workspaces" / cls.workspace / "files"

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    @classmethod
    def parts(cls):
        settings = wire.workspace.WorkspaceSettings(
            permission_mode=wire.workspace.PERMISSION_MODE_BYPASS_PERMISSIONS
        )
        header = wire.workspace.CreateWorkspaceRequest(name="repository", settings=settings)
        yield wire.workspace.ImportWorkspaceRequest(header=header)
        for begin in range(0, len(cls.data), CHUNK):
            yield wire.workspace.ImportWorkspaceRequest(chunk=cls.data[begin : begin + CHUNK])

    def listed(self, path: str = ""):
        """Every file beneath a directory, page by page."""
        token = ""
        while True:
            page = self.client.files.ListFiles(
                wire.file.ListFilesRequest(
                    workspace_id=self.workspace, path=path, page_token=token, page_size=100
                ),
                timeout=20,
            )
            for one in page.files:
                if one.kind == wire.file.FILE_KIND_DIRECTORY:
                    yield from self.listed(one.path)
                else:
                    yield one
            token = page.next_page_token
            if not token:
                return

    def changes(self, scope) -> list:
        request = wire.change.ListChangesRequest(
            workspace_id=self.workspace, scope=scope, page_size=1000
        )
        return list(self.client.changes.ListChanges(request, timeout=60).changes)

    def discard(self, scope, *paths: str):
        request = wire.change.DiscardChangesRequest(
            workspace_id=self.workspace, scope=scope, paths=paths
        )
        return self.client.changes.DiscardChanges(request, timeout=60)

    def exported(self) -> bytes:
        request = wire.file.ExportFilesRequest(workspace_id=self.workspace)
        return b"".join(part.chunk for part in self.client.files.ExportFiles(request, timeout=120))

    def test_a_repository_goes_in_is_changed_reviewed_partly_undone_and_comes_out(self):
        self.assertGreaterEqual(self.count, FILES)
        files = {one.path: one for one in self.listed()}
        self.assertEqual(len(files), self.count)
        brought = tree(self.directory)
        self.assertEqual(set(files), set(brought))

        sources = sorted(path for path in files if path.endswith(".rs") and files[path].size > 500)
        edited, moved, removed, executable, undone, by_person = sources[:6]
        self.person_edits(by_person, files[by_person].etag)
        session = new_session(self.client, self.workspace)
        turn(self.client, session, "!say Only looking.")
        events = turn(
            self.client,
            session,
            f"!read {edited}",
            "!bash sed -i '1s/^/agent /' " + edited,
            f"!bash mv {moved} {moved}.moved && rm {removed} && chmod +x {executable}",
            f"!bash echo gone >> {undone}; mkdir generated; for i in $(seq 200); do echo $i > generated/$i; done",
        )
        self.assertEqual(outcome(events), wire.event.TURN_OUTCOME_COMPLETED)
        ended = events[-1].payload.turn_ended
        scope = wire.change.ChangeScope(change_set_id=ended.change_set_id)
        self.assertEqual(ended.changes.file_count, 205)

        changes = {one.path: STATUS[one.status] for one in self.changes(scope)}
        self.assertEqual(changes.pop(f"{moved}.moved"), "R")
        for path, status in [(edited, "M"), (removed, "D"), (executable, "X"), (undone, "M")]:
            self.assertEqual(changes.pop(path), status, path)
        self.assertEqual(set(changes), {f"generated/{number}" for number in range(1, 201)})

        for path in [undone, removed, "generated/7"]:
            self.assertEqual(list(self.discard(scope, path).discarded_paths), [path])
        now = tree(self.directory)
        self.assertEqual(now[undone], brought[undone])
        self.assertEqual(now[removed], brought[removed])
        self.assertNotIn("generated/7", now)
        self.assertIn("generated/8", now)
        self.assertTrue(now[by_person][0].startswith(b"// A person was here."))
        self.assertEqual(unzipped(self.exported()), now)

        rest = self.discard(scope)
        self.assertEqual(set(rest.conflicting_paths), {undone, removed, "generated/7"})
        now = tree(self.directory)
        now[by_person] = brought[by_person]
        self.assertEqual(now, brought)

    def person_edits(self, path: str, etag: str) -> None:
        request = wire.file.ReadFileRequest(workspace_id=self.workspace, path=path)
        parts = list(self.client.files.ReadFile(request, timeout=20))
        text = b"".join(part.data for part in parts if part.WhichOneof("part") == "data")
        self.assertEqual(text, (self.directory / path).read_bytes())
        request = wire.file.WriteFileRequest(
            workspace_id=self.workspace,
            path=path,
            content=b"// A person was here.\n" + text,
            etag=etag,
        )
        written = self.client.files.WriteFile(request, timeout=20)
        self.assertNotEqual(written.file.etag, etag)
