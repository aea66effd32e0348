//! What was dropped on the page: files, and whole directories as the files in them.

use js_sys::{Array, Promise};
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    DataTransfer, DataTransferItem, File, FileSystemDirectoryEntry, FileSystemDirectoryReader,
    FileSystemEntry, FileSystemFileEntry,
};

/// What was dropped, as it has to be asked for while it happens.
pub struct Dropped {
    entries: Vec<FileSystemEntry>,
    files: Vec<(String, File)>,
}

/// All files of a drop with their paths, which begin at what was dropped.
pub async fn walk(dropped: Dropped) -> Vec<(String, File)> {
    let mut files = dropped.files;
    let mut waiting = dropped.entries;
    while let Some(entry) = waiting.pop() {
        if entry.is_directory() {
            waiting.extend(children(entry.unchecked_into()).await);
        } else if let Some(file) = file(entry.clone().unchecked_into()).await {
            let path = entry.full_path();
            files.push((path.trim_start_matches('/').to_owned(), file));
        }
    }
    files
}

/// Takes what was dropped: where the browser tells no entries, the files alone.
pub fn dropped(transfer: &DataTransfer) -> Dropped {
    let items = transfer.items();
    let items: Vec<_> = (0..items.length()).filter_map(|at| items.get(at)).collect();
    let entry = |item: &DataTransferItem| item.webkit_get_as_entry().ok().flatten();
    let entries: Vec<_> = items.iter().filter_map(entry).collect();
    let file = |item: &DataTransferItem| item.get_as_file().ok().flatten();
    let files = items.iter().filter(|_| entries.is_empty()).filter_map(file);
    let files = files.map(|file| (file.name(), file)).collect();
    Dropped { entries, files }
}

/// A reader gives some entries each time, and none at the end.
async fn children(directory: FileSystemDirectoryEntry) -> Vec<FileSystemEntry> {
    let reader: FileSystemDirectoryReader = directory.create_reader();
    let mut all = Vec::new();
    loop {
        let some = Promise::new(&mut |done, failed| {
            let _ = reader.read_entries_with_callback_and_callback(&done, &failed);
        });
        let some: Array = match JsFuture::from(some).await.map(JsValue::dyn_into) {
            Ok(Ok(some)) => some,
            _ => return all,
        };
        if some.length() == 0 {
            return all;
        }
        all.extend(
            some.iter()
                .map(wasm_bindgen::JsCast::unchecked_into::<FileSystemEntry>),
        );
    }
}

async fn file(entry: FileSystemFileEntry) -> Option<File> {
    let file = Promise::new(&mut |done, failed| {
        entry.file_with_callback_and_callback(&done, &failed);
    });
    JsFuture::from(file).await.ok()?.dyn_into().ok()
}
