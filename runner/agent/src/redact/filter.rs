//! Where a form may begin, found by looking at every fifth place of a text only.

use super::MIN_SECRET_BYTES;

/// Bytes of a piece that is looked up.
const GRAM: usize = 4;
/// From the beginning of each form, so many bytes are looked at. No form is shorter.
pub(super) const HEAD: usize = MIN_SECRET_BYTES;
/// A head has so many pieces, so one that begins at every so-many-th place of a text meets one.
const STEP: usize = HEAD - GRAM + 1;
/// 32 KiB of bits: they stay in the nearest cache.
const BITS: u32 = 18;

/// The pieces of all forms' heads, hashed.
pub(super) struct Filter(Box<[u64]>);

impl Filter {
    /// A filter for these forms.
    pub fn new<'form>(forms: impl Iterator<Item = &'form [u8]>) -> Self {
        let mut bits = vec![0_u64; 1 << (BITS - 6)];
        for gram in forms.flat_map(|form| form[..HEAD].windows(GRAM)) {
            let (word, bit) = place(gram);
            bits[word] |= bit;
        }
        Self(bits.into())
    }

    /// The first place from `from` on where a form may begin whose head is in the text; `None` when
    /// there is none.
    pub fn next(&self, text: &[u8], from: usize) -> Option<usize> {
        let grams = text.get(from..)?.windows(GRAM).step_by(STEP);
        let hit = grams
            .map(place)
            .position(|(word, bit)| self.0[word] & bit != 0)?;
        // The piece may be any of the head's.
        Some((from + hit * STEP).saturating_sub(HEAD - GRAM).max(from))
    }
}

/// Word and bit of a piece.
fn place(gram: &[u8]) -> (usize, u64) {
    let gram = gram
        .first_chunk()
        .map_or(0, |gram| u32::from_le_bytes(*gram));
    let hash = gram.wrapping_mul(0x9e37_79b1) >> (32 - BITS);
    ((hash >> 6) as usize, 1 << (hash & 63))
}
