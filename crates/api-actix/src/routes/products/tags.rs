//! `ETag`, `If-None-Match` and `If-Match` of products (contract 1, "conditional reads").

use actix_web::http::header::{self, HeaderMap, HeaderName};
use domain::catalog::{IfMatch, Product, ProductTag, Tags};
use sha2::{Digest, Sha256};

use super::bodies::ProductBody;

/// How much of the body's SHA-256 goes into the tag.
const HASH_BYTES: usize = 12;

/// A product's body and the tag made of it.
#[derive(Debug)]
pub(super) struct Rendered {
    pub(super) body: Vec<u8>,
    pub(super) tag: ProductTag,
}

impl Rendered {
    pub(super) fn etag(&self) -> (HeaderName, String) {
        (header::ETAG, format!("\"{}\"", self.tag))
    }
}

/// Writes a product, and hashes what was written.
pub(super) fn render(product: &Product) -> Result<Rendered, serde_json::Error> {
    let body = serde_json::to_vec(&ProductBody::from(product))?;
    let body_hash = hex::encode(&Sha256::digest(&body)[..HASH_BYTES]);
    Ok(Rendered { body, tag: ProductTag { edit_version: product.edit_version, body_hash } })
}

/// The tag that clients see on a product.
fn tag_of(product: &Product) -> ProductTag {
    // A product that can't be written has a tag that nobody was given.
    render(product).map_or(ProductTag { edit_version: product.edit_version, body_hash: String::new() }, |it| it.tag)
}

/// Whether `If-None-Match` names what the client would get. The comparison is the weak one, as RFC 9110 has it.
pub(super) fn is_current(headers: &HeaderMap, tag: &ProductTag) -> bool {
    tags(headers, &header::IF_NONE_MATCH, |named| named.strip_prefix("W/").unwrap_or(named))
        .is_some_and(|tags| tags.contain(tag))
}

/// What `If-Match` expects, if it was sent. Weak tags never match: the comparison is the strong one.
pub(super) fn if_match(headers: &HeaderMap) -> Option<IfMatch> {
    tags(headers, &header::IF_MATCH, |named| named).map(|tags| IfMatch { tags, tag_of })
}

/// The tags of a header; those that were never given out are left out, since they match nothing.
fn tags(headers: &HeaderMap, name: &HeaderName, strip: fn(&str) -> &str) -> Option<Tags> {
    if !headers.contains_key(name) {
        return None;
    }
    let lines = headers.get_all(name).filter_map(|line| line.to_str().ok());
    // Our tags hold neither commas nor quotes.
    let named: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    if named == ["*"] {
        return Some(Tags::Any);
    }
    let unquoted = |named: &str| strip(named).strip_prefix('"')?.strip_suffix('"')?.parse().ok();
    Some(Tags::OneOf(named.into_iter().filter_map(unquoted).collect()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use actix_web::http::header::HeaderValue;

    use super::*;

    fn headers(name: &HeaderName, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name.clone(), HeaderValue::from_str(line).unwrap());
        }
        headers
    }

    fn tag(version: u64, hash: &str) -> ProductTag {
        ProductTag { edit_version: version.into(), body_hash: hash.to_owned() }
    }

    #[test]
    fn if_none_match_takes_lists_weak_tags_and_a_star() {
        let current = |lines: &[&str]| is_current(&headers(&header::IF_NONE_MATCH, lines), &tag(1, "ab"));
        for lines in [&["\"1-ab\""][..], &["W/\"1-ab\""], &["*"], &["\"9-99\", \"1-ab\""], &["\"9-99\"", "\"1-ab\""]] {
            assert!(current(lines), "{lines:?}");
        }
        for lines in [&[][..], &["1-ab"], &["\"1-ac\""], &["\"2-ab\""], &["\"\""], &[""], &["\"*\""], &["W/\"2-ab\""]] {
            assert!(!current(lines), "{lines:?}");
        }
    }

    #[test]
    fn if_match_takes_strong_tags_and_garbage_matches_nothing() {
        let expected = |lines: &[&str]| if_match(&headers(&header::IF_MATCH, lines)).map(|expected| expected.tags);
        assert_eq!(expected(&[]), None);
        assert_eq!(expected(&["*"]), Some(Tags::Any));
        assert_eq!(expected(&["\"1-ab\" , \"2-cd\""]), Some(Tags::OneOf(vec![tag(1, "ab"), tag(2, "cd")])));
        for garbage in ["W/\"1-ab\"", "", "1-ab", "\"x\"", "\"1-ab", "*, *", "\"1-\u{e9}\""] {
            assert_eq!(expected(&[garbage]), Some(Tags::OneOf(Vec::new())), "{garbage:?}");
        }
    }
}
