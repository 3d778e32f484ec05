//! Entity tags of products: what a client saw, so that it neither reads the same again nor overwrites what it has
//! not seen (contract 1, "conditional reads").

use std::fmt;
use std::str::FromStr;

use crate::catalog::{EditVersion, Product};

/// The tag of a product as a client saw it: `<edit version>-<body hash>`.
///
/// The hash covers every field that is shown, the stock too, so the tag changes with each sale; the edit version
/// changes only when an admin edits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductTag {
    /// The product's edit version.
    pub edit_version: EditVersion,
    /// A hash of the body, in hexadecimal.
    pub body_hash: String,
}

impl fmt::Display for ProductTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.edit_version, self.body_hash)
    }
}

/// A text that is no product's tag, and so matches none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a product's tag")]
pub struct InvalidTag;

impl FromStr for ProductTag {
    type Err = InvalidTag;

    fn from_str(text: &str) -> Result<Self, InvalidTag> {
        let (version, hash) = text.split_once('-').ok_or(InvalidTag)?;
        let edit_version = version.parse::<u64>().map_err(|_| InvalidTag)?.into();
        let tag = Self { edit_version, body_hash: hash.to_owned() };
        // Only the form that was given out: not `+1-…`, not `01-…`.
        if tag.to_string() == text { Ok(tag) } else { Err(InvalidTag) }
    }
}

/// The tags that a client named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tags {
    /// `*`: whatever is there.
    Any,
    /// One of these; none, if the client named only tags that were never given out.
    OneOf(Vec<ProductTag>),
}

impl Tags {
    /// Whether the client has exactly this.
    #[must_use]
    pub fn contain(&self, tag: &ProductTag) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(tags) => tags.contains(tag),
        }
    }

    fn contain_version(&self, version: EditVersion) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(tags) => tags.iter().any(|tag| tag.edit_version == version),
        }
    }
}

/// What must still hold when an edit is decided. Only the boundary knows the body that a tag hashes, so it brings
/// the function along, and the decision applies it to the product under lock.
#[derive(Debug, Clone)]
pub struct IfMatch {
    /// What the editor saw.
    pub tags: Tags,
    /// The tag that a client sees on a product.
    pub tag_of: fn(&Product) -> ProductTag,
}

impl IfMatch {
    /// The edit version decides, so that sales don't disturb an editor; but who sets the stock must have seen it.
    pub(crate) fn holds(&self, product: &Product, sets_stock: bool) -> bool {
        self.tags.contain_version(product.edit_version) && (!sets_stock || self.tags.contain(&(self.tag_of)(product)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_tag_is_read_back_as_it_was_given_out_and_in_no_other_form() {
        let tag = ProductTag { edit_version: 7.into(), body_hash: "c0ffee".into() };
        assert_eq!(tag.to_string(), "7-c0ffee");
        assert_eq!("7-c0ffee".parse(), Ok(tag));
        for other in ["", "7", "+7-c0ffee", "07-c0ffee", "-c0ffee", "x-c0ffee", "99999999999999999999-c0ffee"] {
            assert_eq!(other.parse::<ProductTag>(), Err(InvalidTag), "{other}");
        }
    }
}
