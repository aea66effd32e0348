//! What a tree may cost. Every limit is checked on what was declared before anything is inflated,
//! and again on what is really there.

/// Upper bounds for one import or export. All are inclusive: a value equal to the limit is fine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Size of the archive file, in bytes. Ignored where there is no archive to read.
    pub max_archive_bytes: u64,
    /// Number of files, links and directories, including directories that are only implied by the
    /// paths of others.
    pub max_entries: u64,
    /// Size of the archive's central directory, in bytes. It bounds the memory of an import,
    /// since names are kept until the end.
    pub max_directory_bytes: u64,
    /// Sum of the sizes of all files, uncompressed, in bytes.
    pub max_total_bytes: u64,
    /// Size of one file, uncompressed, in bytes.
    pub max_file_bytes: u64,
    /// How many bytes one compressed byte may stand for, per entry and over the whole archive.
    /// Not applied below [`Limits::ratio_floor_bytes`].
    pub max_ratio: u64,
    /// Uncompressed bytes below which a ratio is never refused: small files of zeros are common.
    pub ratio_floor_bytes: u64,
    /// Length of a whole path, in bytes, without the trailing slash of a directory.
    pub max_path_bytes: usize,
    /// Length of one component of a path, in bytes. Linux file systems allow 255.
    pub max_name_bytes: usize,
    /// Number of components of a path.
    pub max_depth: usize,
    /// Length of a symbolic link's target, in bytes.
    pub max_target_bytes: usize,
    /// Whether two names that differ only by case or Unicode normalisation are refused. True for
    /// what people send, because such a tree cannot be unpacked on macOS or Windows; false to
    /// restore a snapshot of a tree that was made on Linux and may rightly contain both.
    pub refuse_twins: bool,
}

impl Default for Limits {
    /// 512 MiB of archive, 50 000 entries, 2 GiB of tree, 1 GiB a file.
    fn default() -> Self {
        Self {
            max_archive_bytes: 512 << 20,
            max_entries: 50_000,
            max_directory_bytes: 8 << 20,
            max_total_bytes: 2 << 30,
            max_file_bytes: 1 << 30,
            max_ratio: 200,
            ratio_floor_bytes: 8 << 20,
            max_path_bytes: 1024,
            max_name_bytes: 255,
            max_depth: 64,
            max_target_bytes: 4096,
            refuse_twins: true,
        }
    }
}
