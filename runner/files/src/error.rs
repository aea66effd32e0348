//! Every way in which a tree is refused, each with its own stable word for the API.

use std::fmt;
use std::io;

/// Characters of an entry's name that an error shows at most.
const SHOWN_CHARACTERS: usize = 120;

/// A name out of an archive, safe to print: control characters escaped, length bounded.
#[derive(Clone, PartialEq, Eq)]
pub struct EntryName(String);

impl EntryName {
    pub(crate) fn new(raw: impl AsRef<[u8]>) -> Self {
        let raw = raw.as_ref();
        let head = &raw[..raw.len().min(SHOWN_CHARACTERS * 4)];
        let text = String::from_utf8_lossy(head);
        let mut shown: String = text.escape_debug().take(SHOWN_CHARACTERS).collect();
        if text.escape_debug().nth(SHOWN_CHARACTERS).is_some() || head.len() < raw.len() {
            shown.push('…');
        }
        Self(shown)
    }

    /// The escaped, bounded text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

impl fmt::Debug for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whose fault an error is; it decides the status a caller answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The archive or tree is not acceptable, whatever the limits.
    Content,
    /// The archive or tree is larger than the limits allow.
    Limit,
    /// The destination cannot take an import now.
    Destination,
    /// Reading or writing failed; the archive may be fine.
    Io,
}

/// Declares the enum together with the two exhaustive tables that belong to it, so that a new
/// refusal cannot be added without a word for the API.
macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident $({ $($field:ident : $type:ty),* })? => $fault:ident $word:literal $text:literal;)*) => {
        /// Why a tree was refused. Nothing in the destination has changed when one is returned.
        #[derive(Debug, thiserror::Error)]
        #[non_exhaustive]
        pub enum ArchiveError {
            $($(#[$doc])* #[error($text)] $name $({ $($field: $type),* })?,)*
            /// Reading the archive or the source, or writing the destination, failed.
            #[error("{doing} failed")]
            Io {
                /// What was being done.
                doing: &'static str,
                /// The operating system's answer.
                #[source]
                source: io::Error,
            },
        }

        impl ArchiveError {
            /// The stable word for the API, such as `ARCHIVE_PATH_TRAVERSAL`.
            #[must_use]
            pub fn reason(&self) -> &'static str {
                match self {
                    $(Self::$name { .. } => $word,)*
                    Self::Io { .. } => "ARCHIVE_IO",
                }
            }

            /// Whose fault it is.
            #[must_use]
            pub fn fault(&self) -> Fault {
                match self {
                    $(Self::$name { .. } => Fault::$fault,)*
                    Self::Io { .. } => Fault::Io,
                }
            }
        }
    };
}

refusals! {
    // The file as a whole.
    /// There is no end record that reaches exactly to the end of the file.
    NotAZip => Content "ARCHIVE_NOT_A_ZIP" "this is not a zip archive";
    /// The end record says that more follows than is there.
    Truncated => Content "ARCHIVE_TRUNCATED" "the archive is cut off";
    /// Bytes follow the end record.
    TrailingData => Content "ARCHIVE_TRAILING_DATA" "bytes follow the end of the archive";
    /// More than one end record could be meant.
    TwoEndRecords => Content "ARCHIVE_TWO_END_RECORDS" "the archive has two end records";
    /// One part of an archive that spans several files.
    MultiDisk => Content "ARCHIVE_MULTI_DISK" "the archive is one part of several";
    /// The central directory is not where, as large or as long as the end record says.
    Directory { detail: &'static str } => Content "ARCHIVE_DIRECTORY_INCONSISTENT" "the archive's directory is inconsistent: {detail}";
    /// The zip64 records contradict the plain ones or themselves.
    Zip64End { detail: &'static str } => Content "ARCHIVE_ZIP64_INCONSISTENT" "the archive's zip64 records are inconsistent: {detail}";

    // Limits.
    /// The archive file is too large.
    ArchiveTooLarge { bytes: u64, limit: u64 } => Limit "ARCHIVE_TOO_LARGE" "the archive has {bytes} bytes; the limit is {limit}";
    /// Too many entries, implied directories included.
    TooManyEntries { entries: u64, limit: u64 } => Limit "ARCHIVE_TOO_MANY_ENTRIES" "the tree has {entries} entries or more; the limit is {limit}";
    /// The central directory is too large to be read.
    DirectoryTooLarge { bytes: u64, limit: u64 } => Limit "ARCHIVE_DIRECTORY_TOO_LARGE" "the archive's directory has {bytes} bytes; the limit is {limit}";
    /// The files together are too large; the entry is the one that goes over.
    TotalTooLarge { entry: EntryName, limit: u64 } => Limit "ARCHIVE_TOTAL_TOO_LARGE" "with entry {entry} the files are larger than {limit} bytes together";
    /// One file is too large.
    FileTooLarge { entry: EntryName, limit: u64 } => Limit "ARCHIVE_FILE_TOO_LARGE" "entry {entry} is larger than {limit} bytes";
    /// The entry, or the archive up to it, is compressed further than is plausible.
    RatioTooHigh { entry: EntryName, limit: u64 } => Limit "ARCHIVE_RATIO_TOO_HIGH" "entry {entry} is compressed more than {limit} times";
    /// A path has too many bytes.
    PathTooLong { entry: EntryName, limit: usize } => Limit "ARCHIVE_PATH_TOO_LONG" "the path of entry {entry} is longer than {limit} bytes";
    /// A component of a path has too many bytes.
    NameTooLong { entry: EntryName, limit: usize } => Limit "ARCHIVE_NAME_TOO_LONG" "a name in entry {entry} is longer than {limit} bytes";
    /// A path has too many components.
    TooDeep { entry: EntryName, limit: usize } => Limit "ARCHIVE_TOO_DEEP" "entry {entry} lies deeper than {limit} directories";

    // Names.
    /// The name is empty.
    NameEmpty => Content "ARCHIVE_NAME_EMPTY" "an entry has no name";
    /// The name is not UTF-8, or not marked as it where the making system requires the mark.
    NameEncoding { entry: EntryName } => Content "ARCHIVE_NAME_ENCODING" "the name of entry {entry} is not in UTF-8; pack again with UTF-8 names";
    /// A Unicode path field gives the entry a second, different name.
    NameAmbiguous { entry: EntryName } => Content "ARCHIVE_NAME_AMBIGUOUS" "entry {entry} has two different names";
    /// The name is one that an import itself uses.
    NameReserved { entry: EntryName } => Content "ARCHIVE_NAME_RESERVED" "the name of entry {entry} is reserved";
    /// The name contains a NUL.
    NameNul { entry: EntryName } => Content "ARCHIVE_NAME_NUL" "the name of entry {entry} contains a NUL";
    /// The path is absolute.
    PathAbsolute { entry: EntryName } => Content "ARCHIVE_PATH_ABSOLUTE" "the path of entry {entry} is absolute";
    /// The path begins with a drive letter.
    PathDrive { entry: EntryName } => Content "ARCHIVE_PATH_DRIVE" "the path of entry {entry} begins with a drive letter";
    /// The path contains a backslash.
    PathBackslash { entry: EntryName } => Content "ARCHIVE_PATH_BACKSLASH" "the path of entry {entry} contains a backslash";
    /// The path contains a `..` component.
    PathTraversal { entry: EntryName } => Content "ARCHIVE_PATH_TRAVERSAL" "the path of entry {entry} contains \"..\"";
    /// The path contains an empty or `.` component.
    PathNotNormal { entry: EntryName } => Content "ARCHIVE_PATH_NOT_NORMAL" "the path of entry {entry} contains an empty or \".\" component";

    // The tree.
    /// Two entries have the same path.
    Duplicate { entry: EntryName } => Content "ARCHIVE_DUPLICATE" "entry {entry} occurs twice";
    /// Two names differ only by case or Unicode normalisation.
    Twin { entry: EntryName, other: EntryName } => Content "ARCHIVE_TWIN" "entry {entry} differs from {other} only by case or Unicode form";
    /// A path is a file for one entry and a directory for another.
    FileDirectoryClash { entry: EntryName } => Content "ARCHIVE_FILE_DIRECTORY_CLASH" "entry {entry} needs a file to be a directory";
    /// An entry lies beneath a symbolic link.
    ThroughSymlink { entry: EntryName } => Content "ARCHIVE_THROUGH_SYMLINK" "entry {entry} lies beneath a symbolic link";
    /// A link's target is absolute.
    SymlinkAbsolute { entry: EntryName } => Content "ARCHIVE_SYMLINK_ABSOLUTE" "the link {entry} has an absolute target";
    /// A link's target lies outside the tree.
    SymlinkEscapes { entry: EntryName } => Content "ARCHIVE_SYMLINK_ESCAPES" "the link {entry} points out of the tree";
    /// A link's target goes down and up again, so that where it leads depends on other links.
    SymlinkDetour { entry: EntryName } => Content "ARCHIVE_SYMLINK_DETOUR" "the target of link {entry} has \"..\" after a name";
    /// A link's target is too long.
    SymlinkTooLong { entry: EntryName, limit: usize } => Content "ARCHIVE_SYMLINK_TOO_LONG" "the target of link {entry} is longer than {limit} bytes";
    /// A link's target is empty, not UTF-8, or contains a NUL or backslash.
    SymlinkInvalid { entry: EntryName } => Content "ARCHIVE_SYMLINK_INVALID" "the target of link {entry} is not a path";

    // Kinds.
    /// The name and the attributes disagree on what the entry is.
    KindAmbiguous { entry: EntryName } => Content "ARCHIVE_KIND_AMBIGUOUS" "it is not clear whether entry {entry} is a file, a directory or a link";
    /// A directory with contents of its own.
    DirectoryWithData { entry: EntryName } => Content "ARCHIVE_DIRECTORY_WITH_DATA" "the directory {entry} carries data";

    // Headers and data.
    /// The entry is encrypted.
    Encrypted { entry: EntryName } => Content "ARCHIVE_ENCRYPTED" "entry {entry} is encrypted";
    /// A compression method other than stored and deflated.
    Compression { entry: EntryName, method: u16 } => Content "ARCHIVE_COMPRESSION_UNSUPPORTED" "entry {entry} is compressed with method {method}; only stored and deflated are supported";
    /// Unpacking needs a version of the format beyond zip64.
    Version { entry: EntryName } => Content "ARCHIVE_VERSION_UNSUPPORTED" "entry {entry} needs a newer version of the zip format";
    /// A general purpose flag that changes the meaning in a way not supported.
    Flags { entry: EntryName, flags: u16 } => Content "ARCHIVE_FLAGS_UNSUPPORTED" "entry {entry} has unsupported flags {flags:#06x}";
    /// The extra fields do not add up, or one of them is not supported.
    ExtraField { entry: EntryName } => Content "ARCHIVE_EXTRA_FIELD" "entry {entry} has a malformed or unsupported extra field";
    /// The zip64 field of an entry contradicts its header.
    Zip64Entry { entry: EntryName } => Content "ARCHIVE_ZIP64_ENTRY" "the zip64 sizes of entry {entry} contradict its header";
    /// The entry's local header or data descriptor says something else than the directory.
    HeaderMismatch { entry: EntryName, field: &'static str } => Content "ARCHIVE_HEADER_MISMATCH" "the two headers of entry {entry} disagree on its {field}";
    /// The entry's data overlaps another entry or the directory.
    Overlap { entry: EntryName } => Content "ARCHIVE_OVERLAP" "entry {entry} overlaps something else in the archive";
    /// Bytes before the entry belong to nothing.
    UnlistedBytes { entry: EntryName } => Content "ARCHIVE_UNLISTED_BYTES" "bytes next to entry {entry} belong to no entry";
    /// The data is not as long as declared.
    SizeMismatch { entry: EntryName } => Content "ARCHIVE_SIZE_MISMATCH" "the data of entry {entry} is not as long as declared";
    /// The data does not have the declared checksum.
    BadChecksum { entry: EntryName } => Content "ARCHIVE_BAD_CHECKSUM" "the data of entry {entry} does not match its checksum";
    /// The data cannot be inflated.
    BadData { entry: EntryName } => Content "ARCHIVE_BAD_DATA" "the data of entry {entry} cannot be inflated";

    // The destination.
    /// The destination is not empty, or did not stay so.
    DestinationNotEmpty => Destination "ARCHIVE_DESTINATION_NOT_EMPTY" "the destination is not empty";
    /// Another import into the same destination is running or was interrupted.
    Unfinished => Destination "ARCHIVE_IMPORT_UNFINISHED" "another import into this destination is unfinished";
    /// The destination lies within the directory to be imported.
    DestinationInSource => Destination "ARCHIVE_DESTINATION_IN_SOURCE" "the destination lies within the source";
}

impl ArchiveError {
    /// Wraps an I/O error with what was being done; for `map_err`.
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}
