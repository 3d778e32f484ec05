//! An answer as it was first given.

/// All of an answer that a replay gives again, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The status code.
    pub status: u16,
    /// `Content-Type`
    pub content_type: String,
    /// `Location`, where there is one.
    pub location: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}
