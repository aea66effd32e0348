//! What is accepted here gives the same tree in Python's zipfile and in Info-ZIP, and what they
//! pack is accepted.

use crate::raw::{Entry, directory, file, link, zip, zip64_with};
use crate::support::{Place, Tree, accept, run, tree};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

/// Reads archives with Python's zipfile and writes what it sees as a tree.
///
/// Python takes names that are not marked as UTF-8 for code page 437, whatever system packed them.
/// Their bytes are the same, so they are turned back; Info-ZIP needs no such help.
const UNPACK: &str = r#"
import os, stat, sys, zipfile
for archive in sys.argv[1:]:
    root = archive + ".tree"
    os.mkdir(root)
    with zipfile.ZipFile(archive) as z:
        assert z.testzip() is None
        for info in z.infolist():
            name = info.filename
            if not info.flag_bits & 0x800:
                name = name.encode("cp437").decode("utf-8")
            path = os.path.join(root, name)
            mode = info.external_attr >> 16
            os.makedirs(os.path.dirname(path.rstrip("/")), exist_ok=True)
            if info.is_dir():
                os.makedirs(path, exist_ok=True)
            elif stat.S_ISLNK(mode):
                os.symlink(z.read(info), path)
            else:
                with open(path, "xb") as out:
                    out.write(z.read(info))
                os.chmod(path, 0o755 if info.create_system in (3, 19) and mode & 0o100 else 0o644)
"#;

/// The trees that Python sees in these archives, in their order.
pub fn python_trees(archives: &[Vec<u8>]) -> Vec<Tree> {
    let place = Place::new();
    let paths: Vec<_> = (0..archives.len())
        .map(|n| place.path().join(format!("{n}.zip")))
        .collect();
    for (path, bytes) in paths.iter().zip(archives) {
        fs::write(path, bytes).expect("writing an archive");
    }
    let (fine, text) = run(
        Command::new("python3").arg("-c").arg(UNPACK).args(&paths),
        "python3",
    );
    assert!(fine, "{text}");
    let unpacked = paths.iter().map(|path| path.with_extension("zip.tree"));
    unpacked.map(|path| tree(&path)).collect()
}

/// The tree that Info-ZIP sees.
pub fn unzip_tree(archive: &[u8]) -> Tree {
    let place = Place::new();
    let path = place.path().join("x.zip");
    fs::write(&path, archive).expect("writing an archive");
    let root = place.path().join("tree");
    fs::create_dir(&root).expect("a directory");
    let mut command = Command::new("unzip");
    command
        .env("LC_ALL", "C.UTF-8")
        .arg("-q")
        .arg(&path)
        .arg("-d")
        .arg(&root);
    let (fine, text) = run(&mut command, "unzip");
    assert!(fine, "{text}");
    tree(&root)
}

fn assert_peers_agree(archives: &[Vec<u8>]) {
    for (bytes, python) in archives.iter().zip(python_trees(archives)) {
        let (ours, _) = accept(bytes);
        assert_eq!(ours, python);
        assert_eq!(ours, unzip_tree(bytes));
    }
}

#[test]
fn python_and_info_zip_see_the_same_tree() {
    let many: Vec<Entry> = (0..300)
        .map(|n| file(&format!("{}/{n}", n % 7), b"x"))
        .collect();
    let large = vec![b'x'; 300_000];
    assert_peers_agree(&[
        zip(&[
            directory("empty/"),
            file("a/b", b"1"),
            link("a/l", "../empty"),
        ]),
        zip(&[file("deflated", &large).deflated(), file("stored", &large)]),
        zip(&[file("streamed", &large).deflated().described()]),
        zip(&[
            Entry::new("run", 0o100_755, b"#!"),
            Entry::new("not", 0o100_644, b"#!"),
        ]),
        zip(&[
            Entry::new("mode/", 0o040_700, b""),
            Entry::new("group", 0o100_655, b""),
        ]),
        zip(&[
            file("über/日本/🦀", b"x"),
            file("cafe\u{301}", b"x"),
            file(" ", b"x"),
        ]),
        zip(&[file("é", b"unmarked").both(|header| header.flags = 0)]),
        zip(&[file("dos", b"x").with(|entry| (entry.host, entry.attributes) = (0, 0x20))]),
        zip(&[file("__MACOSX/._a", b"fork"), file("a", b"x")]),
        zip(&[
            file("d/x", b"1"),
            directory("d/"),
            link("z", "missing"),
            link("d/up", ".."),
        ]),
        zip64_with(&[file("a", b"1"), directory("b/")], |_, _| {}),
        zip(&many),
    ]);
}

fn sample(root: &Path) {
    fs::create_dir_all(root.join("src/empty")).expect("directories");
    fs::write(root.join("src/größe.txt"), "text ".repeat(5000)).expect("a file");
    fs::write(root.join("run.sh"), "#!/bin/sh\n").expect("a file");
    fs::set_permissions(root.join("run.sh"), fs::Permissions::from_mode(0o755)).expect("a mode");
    symlink("../run.sh", root.join("src/link")).expect("a link");
}

/// Packs the sample with a program and imports the result.
fn packed_by(command: &str, arguments: &[&str], package: &str) {
    let place = Place::new();
    let root = place.path().join("sample");
    sample(&root);
    let archive = place.path().join("out.zip");
    let mut program = Command::new(command);
    program
        .current_dir(&root)
        .env("LC_ALL", "C.UTF-8")
        .args(arguments)
        .arg(&archive);
    let (fine, text) = run(&mut program, package);
    assert!(fine, "{text}");
    let bytes = fs::read(&archive).expect("an archive");
    assert_eq!(accept(&bytes).0, tree(&root), "{command} {arguments:?}");
}

#[test]
fn what_info_zip_packs_is_accepted() {
    let script = |zip| ["-c", zip, "sh"];
    packed_by("sh", &script("zip -qry \"$1\" ."), "zip");
    // It can't write a link into a pipe.
    packed_by(
        "sh",
        &script("rm src/link; zip -qr - . | cat > \"$1\""),
        "zip",
    );
    packed_by("sh", &script("zip -qry -fz \"$1\" ."), "zip");
    packed_by("sh", &script("zip -qry -0 -X \"$1\" ."), "zip");
}

const PACK: &str = r#"
import os, sys, zipfile
class Stream:
    def __init__(self, path): self.file = open(path, "wb")
    def write(self, data): return self.file.write(data)
    def flush(self): self.file.flush()
kind, path = sys.argv[1:]
target = Stream(path) if kind == "stream" else path
with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as z:
    for directory, names, files in os.walk("."):
        for name in sorted(names + files):
            source = os.path.relpath(os.path.join(directory, name))
            if os.path.islink(source):
                info = zipfile.ZipInfo(source)
                info.external_attr = 0o120777 << 16
                z.writestr(info, os.readlink(source))
            elif kind == "zip64" and os.path.isfile(source):
                info = zipfile.ZipInfo.from_file(source)
                with z.open(info, "w", force_zip64=True) as out:
                    out.write(open(source, "rb").read())
            else:
                z.write(source)
"#;

#[test]
fn what_python_packs_is_accepted() {
    for kind in ["plain", "stream", "zip64"] {
        packed_by("python3", &["-c", PACK, kind], "python3");
    }
}
