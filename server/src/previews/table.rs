//! Tables of separated values, part by part.

use std::io::{self, Read};

use membrane_files::root::{self, Reader};
use membrane_proto::v1::{TablePreview, TableRow};

use super::{Place, text::seal};

/// Rows of a part.
const ROWS: usize = 500;
/// Bytes of a part's cells.
const PART: usize = 1 << 20;
/// Bytes that are read for a part. A quote that is never closed makes one cell of them.
const READ: u64 = 4 << 20;
/// Cells of a row that are shown.
const CELLS: usize = 200;
/// Bytes of a cell that are shown.
const CELL: usize = 1_000;

/// A part of a table; none where a row is so large that this can't be one.
pub(super) fn table(
    reader: &Reader,
    name: &str,
    place: Option<&Place>,
) -> Result<Option<TablePreview>, root::Error> {
    let (start, first) = place.map_or((0, 1), |place| (place.offset, place.number));
    let delimiter = delimiter(name, &reader.read_at(0, super::HEAD)?);
    let source = Source { reader, at: start };
    let mut records = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(source.take(READ));
    let mut record = csv::ByteRecord::new();
    let (mut rows, mut bytes, mut end) = (Vec::new(), 0, 0);
    let left = reader.entry.size.saturating_sub(start);
    while rows.len() < ROWS && bytes < PART {
        match records.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => {
                end = left;
                break;
            }
            // Reading fails only where the file has changed.
            Err(_) => return Err(root::Error::Stale),
        }
        let next = records.position().byte();
        if next >= READ && READ < left {
            break;
        }
        end = next;
        let row = row(&record);
        bytes += row.cells.iter().map(String::len).sum::<usize>();
        rows.push(row);
    }
    if rows.is_empty() {
        return Ok(None);
    }
    let number = first + rows.len() as u64;
    let next_page_token = match end < left {
        true => seal(true, start + end, number, &reader.entry.etag),
        false => String::new(),
    };
    Ok(Some(TablePreview {
        rows,
        first_row: i64::try_from(first).unwrap_or(i64::MAX),
        next_page_token,
    }))
}

fn row(record: &csv::ByteRecord) -> TableRow {
    let mut cut = record.len() > CELLS;
    let cells = record.iter().take(CELLS).map(|cell| {
        cut |= cell.len() > CELL;
        let mut text = String::from_utf8_lossy(&cell[..cell.len().min(CELL)]).into_owned();
        text.truncate(text.floor_char_boundary(CELL));
        text
    });
    let cells = cells.collect();
    TableRow { cells, cut }
}

/// What separates cells: what the first line has most of.
fn delimiter(name: &str, head: &[u8]) -> u8 {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let usual = match name.to_ascii_lowercase().ends_with(".csv") {
        true => b',',
        false => b'\t',
    };
    let count = |wanted: u8| line.iter().filter(|byte| **byte == wanted).count();
    let others = [b',', b';', b'\t', b'|'].into_iter();
    let best = others.max_by_key(|delimiter| (count(*delimiter), *delimiter == usual));
    best.unwrap_or(usual)
}

/// A file from one place on.
struct Source<'a> {
    reader: &'a Reader,
    at: u64,
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.reader.read_at(self.at, buffer.len());
        let bytes = bytes.map_err(|_| io::Error::other("the file has changed"))?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::delimiter;

    #[test]
    fn the_first_line_tells_what_separates() {
        assert_eq!(delimiter("a.csv", b"a,b;c,d\n;;;;"), b',');
        assert_eq!(delimiter("a.csv", b"a;b;c"), b';');
        assert_eq!(delimiter("a.CSV", b"a"), b',');
        assert_eq!(delimiter("a.tsv", b"a\tb,c"), b'\t');
        assert_eq!(delimiter("a.tsv", b""), b'\t');
    }
}
