//! Numbers and bytes of the store's own files.

/// The bytes end too early, or a number is not in its shortest form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Takes values off the front of bytes.
pub(super) struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(head)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// A number in groups of seven bits, the lowest first (LEB128).
    pub(super) fn number(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits || (byte == 0 && shift > 0) {
                return Err(Malformed);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    /// Bytes after their number.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.number()?).map_err(|_| Malformed)?;
        self.take(length)
    }
}

/// Appends a number in groups of seven bits, the lowest first.
pub(super) fn put_number(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let bits = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return out.push(bits);
        }
        out.push(bits | 0x80);
    }
}

/// Appends bytes after their number.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_number_has_one_form(value: u64) {
            let mut bytes = Vec::new();
            put_number(&mut bytes, value);
            let mut decoder = Decoder::new(&bytes);
            prop_assert_eq!(decoder.number(), Ok(value));
            prop_assert!(decoder.is_empty());
        }

        #[test]
        fn bytes_that_decode_encode_alike(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            let mut decoder = Decoder::new(&bytes);
            if let Ok(value) = decoder.number() {
                let mut again = Vec::new();
                put_number(&mut again, value);
                prop_assert!(bytes.starts_with(&again));
            }
        }
    }
}
