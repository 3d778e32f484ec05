//! Escaping, and the frame that every page shares.

/// Text as it may stand in HTML, between tags or in a quoted attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A whole document around a body that is already HTML.
pub(crate) fn document(title: &str, body: &str) -> String {
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}</title>
<link rel="stylesheet" href="/assets/pay.css">
</head>
<body>
{body}
</body>
</html>
"#,
        title = escape(title),
    )
}

/// The line at the top: the shop's name, and that no money moves.
pub(crate) fn header(shop: &str) -> String {
    let initial = shop.chars().next().map_or_else(String::new, |first| escape(&first.to_string()));
    format!(
        r#"<header class="bar"><span class="mark" aria-hidden="true">{initial}</span><span class="shop">{shop}</span><span class="badge">Test mode</span></header>"#,
        shop = escape(shop),
    )
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn markup_in_text_stays_text() {
        assert_eq!(escape(r#"<script>"a"&'b'</script>"#), "&lt;script&gt;&quot;a&quot;&amp;&#39;b&#39;&lt;/script&gt;");
    }
}
