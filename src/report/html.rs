//! HTML: escaped text, and bytes as addresses.

use crate::base64::base64;

/// Text between tags or in quoted attributes.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Not allowed in HTML and XML, whatever wrote them into a name.
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// The address of a PNG picture that contains its bytes.
pub(super) fn data_uri(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", base64(png))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_is_a_tag() {
        let name = "<script>\"a\" & 'b'\u{0}</script>";
        let expected = "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;\u{fffd}&lt;/script&gt;";
        assert_eq!(escaped(name), expected);
    }

    #[test]
    fn a_picture_is_an_address() {
        assert_eq!(data_uri(&[255, 254]), "data:image/png;base64,//4=");
    }
}
