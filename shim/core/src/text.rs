//! Text into a fixed buffer, for code that can neither allocate nor panic: messages and the lines
//! of statistics. What does not fit is cut, and [`Text::cut`] says so.

/// A buffer of `N` bytes being filled.
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
    cut: bool,
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Text<N> {
    /// An empty buffer.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [0; N], len: 0, cut: false }
    }

    /// What has been written.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    /// Whether something did not fit.
    #[must_use]
    pub const fn cut(&self) -> bool {
        self.cut
    }

    /// Bytes that still fit.
    #[must_use]
    pub const fn room(&self) -> usize {
        N - self.len
    }

    /// Forgets what was written.
    pub fn clear(&mut self) {
        self.len = 0;
        self.cut = false;
    }

    /// Forgets what was written past `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        self.cut = false;
    }

    /// Appends what `write` writes into the room that is left; it gives how many bytes that are.
    ///
    /// # Errors
    /// Its own.
    pub fn fill<E>(&mut self, write: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<(), E> {
        let room = self.bytes.get_mut(self.len..).unwrap_or(&mut []);
        let most = room.len();
        let len = write(room)?.min(most);
        self.len += len;
        self.cut |= len == most;
        Ok(())
    }

    /// Appends one byte.
    pub fn byte(&mut self, byte: u8) -> &mut Self {
        match self.bytes.get_mut(self.len) {
            Some(slot) => {
                *slot = byte;
                self.len += 1;
            }
            None => self.cut = true,
        }
        self
    }

    /// Appends bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        for byte in bytes {
            self.byte(*byte);
        }
        self
    }

    /// Appends a string.
    pub fn str(&mut self, text: &str) -> &mut Self {
        self.raw(text.as_bytes())
    }

    /// Appends a number in decimal.
    pub fn dec(&mut self, value: u64) -> &mut Self {
        self.digits(value, 10, 1)
    }

    /// Appends `0x` and a number in hexadecimal.
    pub fn hex(&mut self, value: u64) -> &mut Self {
        self.str("0x").digits(value, 16, 1)
    }

    /// Appends a number in octal, with a 0 before it.
    pub fn oct(&mut self, value: u64) -> &mut Self {
        if value != 0 {
            self.byte(b'0');
        }
        self.digits(value, 8, 1)
    }

    fn digits(&mut self, value: u64, base: u64, least: u32) -> &mut Self {
        let mut count = 1;
        let mut rest = value / base;
        while rest != 0 {
            count += 1;
            rest /= base;
        }
        let mut place = base.saturating_pow(count.max(least) - 1);
        while place != 0 {
            let digit = (value / place % base) as u8;
            self.byte(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
            place /= base;
        }
        self
    }

    /// Appends bytes as a JSON string with its quotes. Bytes that are not UTF-8 come out as the
    /// code points of Latin-1, so that the line stays valid JSON.
    pub fn json(&mut self, bytes: &[u8]) -> &mut Self {
        let utf8 = core::str::from_utf8(bytes).is_ok();
        self.byte(b'"');
        for byte in bytes {
            match *byte {
                b'"' | b'\\' => {
                    self.byte(b'\\').byte(*byte);
                }
                0..=0x1f => {
                    self.str("\\u").digits_padded(u64::from(*byte));
                }
                0x80..=0xff if !utf8 => {
                    self.str("\\u").digits_padded(u64::from(*byte));
                }
                _ => {
                    self.byte(*byte);
                }
            }
        }
        self.byte(b'"')
    }

    fn digits_padded(&mut self, value: u64) {
        self.digits(value, 16, 4);
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn numbers_come_out_in_both_bases() {
        let mut text = Text::<64>::new();
        text.dec(0).byte(b' ').dec(u64::MAX).byte(b' ').hex(0).byte(b' ').hex(u64::MAX);
        assert_eq!(text.as_bytes(), b"0 18446744073709551615 0x0 0xffffffffffffffff");
        assert!(!text.cut());
    }

    #[test]
    fn json_strings_are_escaped() {
        let mut text = Text::<64>::new();
        text.json(b"a\"\\\n\xc3\xa9").json(b"\xff");
        assert_eq!(text.as_bytes(), b"\"a\\\"\\\\\\u000a\xc3\xa9\"\"\\u00ff\"");
    }

    #[test]
    fn what_does_not_fit_is_cut_and_said() {
        let mut text = Text::<4>::new();
        text.str("12345");
        assert_eq!(text.as_bytes(), b"1234");
        assert!(text.cut() && text.room() == 0);
        text.clear();
        assert!(!text.cut() && text.room() == 4);
    }
}
