"""Many large uploads at once: what they need of memory has nothing to do with their size, and what
is not finished leaves nothing."""

import unittest
from concurrent.futures import ThreadPoolExecutor

import grpc

import wire
from server import Server
from work import code_of, new_workspace

PIECE = 1 << 20
PIECES = 64
UPLOADS = 16
# Beside what the server takes for the pieces that are on their way.
GROWTH_MAX = 64 << 20


class Uploads(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.client = cls.server.client()
        cls.workspace = new_workspace(cls.client, "large").id
        cls.directory = cls.server.data / "workspaces" / cls.workspace

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def begin(self, name: str, size: int) -> str:
        request = wire.file.CreateUploadRequest(
            workspace_id=self.workspace, path=f"{name}.bin", size=size
        )
        return self.client.files.CreateUpload(request, timeout=60).upload.id

    def add(self, upload: str, number: int) -> None:
        request = wire.file.WriteUploadRequest(
            workspace_id=self.workspace,
            upload_id=upload,
            offset=number * PIECE,
            data=bytes([number]) * PIECE,
        )
        self.client.files.WriteUpload(request, timeout=60)

    def upload(self, number: int) -> int:
        upload = self.begin(f"file-{number}", PIECES * PIECE)
        for piece in range(PIECES):
            self.add(upload, piece)
        request = wire.file.FinishUploadRequest(workspace_id=self.workspace, upload_id=upload)
        return self.client.files.FinishUpload(request, timeout=60).total_bytes

    def test_memory_does_not_grow_with_what_is_uploaded(self):
        # What the server needs anyway is there after the first one.
        self.upload(0)
        before = self.server.peak_of_memory(reset=True)
        with ThreadPoolExecutor(UPLOADS) as pool:
            sizes = list(pool.map(self.upload, range(1, UPLOADS + 1)))
        grown = self.server.peak_of_memory() - before
        self.assertEqual(sizes, [PIECES * PIECE] * UPLOADS)
        self.assertLess(grown, GROWTH_MAX + UPLOADS * 2 * PIECE, f"grew by {grown >> 20} MiB")

    def test_what_exceeds_the_quota_is_refused_before_a_byte_and_leaves_nothing(self):
        refused = code_of(lambda: self.begin("huge", 1 << 40))
        self.assertEqual(refused, grpc.StatusCode.RESOURCE_EXHAUSTED)
        upload = self.begin("given-up", 2 * PIECE)
        self.add(upload, 0)
        self.assertTrue(list((self.directory / "uploads").iterdir()))
        request = wire.file.CancelUploadRequest(workspace_id=self.workspace, upload_id=upload)
        self.client.files.CancelUpload(request, timeout=60)
        self.assertEqual(list((self.directory / "uploads").iterdir()), [])
        self.assertFalse((self.directory / "files" / "given-up.bin").exists())
