//! A zip writer that can tell any lie: every field is what the test says, sensible until changed.

use flate2::{Compression, Crc, write::DeflateEncoder};
use std::io::Write;

pub const FILE: u32 = 0o100_644;
pub const LINK: u32 = 0o120_777;
pub const DIRECTORY: u32 = 0o040_755;

/// The fields that stand in both headers.
#[derive(Clone)]
pub struct Header {
    pub name: Vec<u8>,
    pub flags: u16,
    pub method: u16,
    pub crc: u32,
    pub compressed: u32,
    pub size: u32,
    pub extra: Vec<u8>,
}

#[derive(Clone)]
pub struct Entry {
    pub local: Header,
    pub central: Header,
    /// As it stands in the file.
    pub data: Vec<u8>,
    pub host: u8,
    pub attributes: u32,
    /// After the data.
    pub descriptor: Vec<u8>,
    /// Before the local header.
    pub gap: Vec<u8>,
    /// Instead of the true offset.
    pub offset: Option<u32>,
    pub disk: u16,
    /// The version of the format, times ten, that the directory says is needed.
    pub version: u8,
    pub listed: bool,
    /// Whether a local header and data are written at all.
    pub present: bool,
}

impl Entry {
    /// A stored entry made on Unix.
    pub fn new(name: impl AsRef<[u8]>, mode: u32, data: &[u8]) -> Self {
        let name = name.as_ref();
        let mut crc = Crc::new();
        crc.update(data);
        let header = Header {
            name: name.to_vec(),
            flags: if name.is_ascii() { 0 } else { 1 << 11 },
            method: 0,
            crc: crc.sum(),
            compressed: data.len() as u32,
            size: data.len() as u32,
            extra: Vec::new(),
        };
        Self {
            local: header.clone(),
            central: header,
            data: data.to_vec(),
            host: 3,
            attributes: mode << 16,
            descriptor: Vec::new(),
            gap: Vec::new(),
            offset: None,
            disk: 0,
            version: 20,
            listed: true,
            present: true,
        }
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Changes both headers in the same way.
    pub fn both(mut self, change: impl Fn(&mut Header)) -> Self {
        change(&mut self.local);
        change(&mut self.central);
        self
    }

    /// Compresses the data as it stands.
    pub fn deflated(mut self) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&self.data).expect("writing to memory");
        self.data = encoder.finish().expect("writing to memory");
        let compressed = self.data.len() as u32;
        self.both(|header| {
            header.method = 8;
            header.compressed = compressed;
        })
    }

    /// Moves checksum and sizes behind the data, with a signature.
    pub fn described(mut self) -> Self {
        self.descriptor = descriptor(&self.central, true);
        self.local = Header {
            crc: 0,
            compressed: 0,
            size: 0,
            ..self.local
        };
        self.both(|header| header.flags |= 1 << 3)
    }
}

pub fn descriptor(header: &Header, signed: bool) -> Vec<u8> {
    let mut bytes = if signed {
        b"PK\x07\x08".to_vec()
    } else {
        Vec::new()
    };
    for value in [header.crc, header.compressed, header.size] {
        bytes.extend(value.to_le_bytes());
    }
    bytes
}

pub fn file(name: &str, data: &[u8]) -> Entry {
    Entry::new(name, FILE, data)
}

pub fn directory(name: &str) -> Entry {
    Entry::new(name, DIRECTORY, b"")
}

pub fn link(name: &str, target: &str) -> Entry {
    Entry::new(name, LINK, target.as_bytes())
}

/// An extra field.
pub fn extra(id: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = id.to_le_bytes().to_vec();
    bytes.extend((data.len() as u16).to_le_bytes());
    bytes.extend(data);
    bytes
}

/// A zip64 extra field with these values.
pub fn extra64(values: &[u64]) -> Vec<u8> {
    let data: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    extra(1, &data)
}

/// The end record's fields.
#[derive(Clone, Default)]
pub struct End {
    pub disk: u16,
    pub directory_disk: u16,
    pub entries_here: u16,
    pub entries: u16,
    pub size: u32,
    pub offset: u32,
    pub comment_length: u16,
    pub comment: Vec<u8>,
}

impl End {
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"PK\x05\x06".to_vec();
        for value in [
            self.disk,
            self.directory_disk,
            self.entries_here,
            self.entries,
        ] {
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend(self.size.to_le_bytes());
        bytes.extend(self.offset.to_le_bytes());
        bytes.extend(self.comment_length.to_le_bytes());
        bytes.extend(&self.comment);
        bytes
    }
}

/// The zip64 end record and its locator.
#[derive(Clone)]
pub struct End64 {
    pub entries_here: u64,
    pub entries: u64,
    pub size: u64,
    pub offset: u64,
    pub length: u64,
    pub disks: u32,
    /// Where the locator says the record is.
    pub position: u64,
}

impl End64 {
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"PK\x06\x06".to_vec();
        bytes.extend(self.length.to_le_bytes());
        bytes.extend([45, 3, 45, 0]);
        bytes.extend([0; 8]);
        for value in [self.entries_here, self.entries, self.size, self.offset] {
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend(b"PK\x06\x07");
        bytes.extend(0u32.to_le_bytes());
        bytes.extend(self.position.to_le_bytes());
        bytes.extend(self.disks.to_le_bytes());
        bytes
    }
}

pub fn zip(entries: &[Entry]) -> Vec<u8> {
    zip_with(entries, |_| {})
}

/// An archive whose end record is changed before it is written.
pub fn zip_with(entries: &[Entry], change: impl FnOnce(&mut End)) -> Vec<u8> {
    let (mut bytes, mut end) = body(entries);
    change(&mut end);
    bytes.extend(end.bytes());
    bytes
}

/// An archive with zip64 end records; both kinds can be changed.
pub fn zip64_with(entries: &[Entry], change: impl FnOnce(&mut End64, &mut End)) -> Vec<u8> {
    let (mut bytes, mut end) = body(entries);
    let mut end64 = End64 {
        entries_here: end.entries.into(),
        entries: end.entries.into(),
        size: end.size.into(),
        offset: end.offset.into(),
        length: 44,
        disks: 1,
        position: bytes.len() as u64,
    };
    end.entries_here = u16::MAX;
    end.entries = u16::MAX;
    end.size = u32::MAX;
    end.offset = u32::MAX;
    change(&mut end64, &mut end);
    bytes.extend(end64.bytes());
    bytes.extend(end.bytes());
    bytes
}

/// Entries and directory, and a truthful end record for them.
pub fn body(entries: &[Entry]) -> (Vec<u8>, End) {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for entry in entries {
        let offset = write_local(&mut bytes, entry);
        if entry.listed {
            write_central(&mut directory, entry, entry.offset.unwrap_or(offset));
        }
    }
    let listed = entries.iter().filter(|entry| entry.listed).count() as u16;
    let end = End {
        entries_here: listed,
        entries: listed,
        size: directory.len() as u32,
        offset: bytes.len() as u32,
        ..End::default()
    };
    bytes.extend(directory);
    (bytes, end)
}

fn write_local(bytes: &mut Vec<u8>, entry: &Entry) -> u32 {
    if !entry.present {
        return bytes.len() as u32;
    }
    bytes.extend(&entry.gap);
    let offset = bytes.len() as u32;
    bytes.extend(b"PK\x03\x04\x14\x00");
    write_shared(bytes, &entry.local);
    bytes.extend(&entry.local.name);
    bytes.extend(&entry.local.extra);
    bytes.extend(&entry.data);
    bytes.extend(&entry.descriptor);
    offset
}

fn write_central(bytes: &mut Vec<u8>, entry: &Entry, offset: u32) {
    bytes.extend(b"PK\x01\x02\x14");
    bytes.push(entry.host);
    bytes.extend([entry.version, 0]);
    write_shared(bytes, &entry.central);
    bytes.extend([0, 0]);
    bytes.extend(entry.disk.to_le_bytes());
    bytes.extend([0, 0]);
    bytes.extend(entry.attributes.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    bytes.extend(&entry.central.name);
    bytes.extend(&entry.central.extra);
}

/// The run of fields that is the same in both headers, with a fixed time.
fn write_shared(bytes: &mut Vec<u8>, header: &Header) {
    bytes.extend(header.flags.to_le_bytes());
    bytes.extend(header.method.to_le_bytes());
    bytes.extend([0, 0, 0x21, 0]);
    for value in [header.crc, header.compressed, header.size] {
        bytes.extend(value.to_le_bytes());
    }
    for length in [header.name.len(), header.extra.len()] {
        bytes.extend((length as u16).to_le_bytes());
    }
}
