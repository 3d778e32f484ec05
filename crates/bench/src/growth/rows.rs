//! Rows as `COPY … (FORMAT binary)` takes them: the server parses nothing, and that is half of what a text costs it.

use tokio::sync::mpsc;

/// What comes before the first row: a signature, no flags, no extension.
const HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// From 1970 to 2000, from which PostgreSQL counts, in microseconds.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
/// The object id of `text`, which an array names for its elements.
const TEXT_OID: u32 = 25;

/// How much is sent at once.
const CHUNK: usize = 128 * 1024;

/// Writes rows in their binary form, on a thread of its own, and hands them on in chunks.
#[derive(Debug)]
pub(super) struct Rows {
    bytes: Vec<u8>,
    chunks: mpsc::Sender<Vec<u8>>,
}

impl Rows {
    /// With the head that comes before all rows.
    pub(super) fn begin(chunks: mpsc::Sender<Vec<u8>>) -> Self {
        Self { bytes: HEAD.to_vec(), chunks }
    }

    /// Begins a row of so many columns, whose values come next.
    pub(super) fn row(&mut self, columns: u16) -> &mut Self {
        if self.bytes.len() >= CHUNK {
            self.hand_on();
        }
        self.bytes.extend(columns.to_be_bytes());
        self
    }

    /// Hands on the last rows, and the mark behind them.
    pub(super) fn end(mut self) {
        self.bytes.extend((-1_i16).to_be_bytes());
        self.hand_on();
    }

    fn hand_on(&mut self) {
        let chunk = std::mem::replace(&mut self.bytes, Vec::with_capacity(CHUNK + 8 * 1024));
        // Without a receiver the `COPY` has failed, and tells so itself.
        let _ = self.chunks.blocking_send(chunk);
    }

    fn value(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend(u32::try_from(bytes.len()).unwrap_or_default().to_be_bytes());
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub(super) fn null(&mut self) -> &mut Self {
        self.bytes.extend((-1_i32).to_be_bytes());
        self
    }

    pub(super) fn uuid(&mut self, id: u128) -> &mut Self {
        self.value(&id.to_be_bytes())
    }

    pub(super) fn bigint(&mut self, number: i64) -> &mut Self {
        self.value(&number.to_be_bytes())
    }

    pub(super) fn integer(&mut self, number: i32) -> &mut Self {
        self.value(&number.to_be_bytes())
    }

    pub(super) fn smallint(&mut self, number: i16) -> &mut Self {
        self.value(&number.to_be_bytes())
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.value(text.as_bytes())
    }

    pub(super) fn text_or_null(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.text(text),
            None => self.null(),
        }
    }

    /// A moment, in microseconds since 1970.
    pub(super) fn moment(&mut self, micros: i64) -> &mut Self {
        self.bigint(micros - EPOCH_MICROS)
    }

    pub(super) fn moment_or_null(&mut self, micros: Option<i64>) -> &mut Self {
        match micros {
            Some(micros) => self.moment(micros),
            None => self.null(),
        }
    }

    /// `jsonb` is its text behind a version.
    pub(super) fn json(&mut self, text: &str) -> &mut Self {
        self.value(&[&[1], text.as_bytes()].concat())
    }

    /// An array of at most one text.
    pub(super) fn texts(&mut self, only: Option<&str>) -> &mut Self {
        let word = |number: u32| number.to_be_bytes();
        let mut array = [word(u32::from(only.is_some())), word(0), word(TEXT_OID)].concat();
        if let Some(text) = only {
            array.extend([word(1), word(1), word(u32::try_from(text.len()).unwrap_or_default())].concat());
            array.extend_from_slice(text.as_bytes());
        }
        self.value(&array)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Rows)) -> Vec<u8> {
        let mut rows = Rows { bytes: Vec::new(), chunks: mpsc::channel(1).0 };
        write(&mut rows);
        rows.bytes
    }

    #[test]
    fn values_are_written_behind_their_length() {
        let row = written(|rows| {
            rows.row(5).smallint(-2).text("ab").null().moment(EPOCH_MICROS + 1).json("{}");
        });
        let expected =
            b"\0\x05\0\0\0\x02\xff\xfe\0\0\0\x02ab\xff\xff\xff\xff\0\0\0\x08\0\0\0\0\0\0\0\x01\0\0\0\x03\x01{}";
        assert_eq!(row, expected);
    }

    #[test]
    fn an_array_says_its_dimensions_before_its_elements() {
        let arrays = written(|rows| {
            rows.texts(None).texts(Some("F"));
        });
        let empty = b"\0\0\0\x0c\0\0\0\0\0\0\0\0\0\0\0\x19";
        let one = b"\0\0\0\x19\0\0\0\x01\0\0\0\0\0\0\0\x19\0\0\0\x01\0\0\0\x01\0\0\0\x01F";
        assert_eq!(arrays, [&empty[..], one].concat());
    }
}
