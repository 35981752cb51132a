//! E-mail addresses: addr-spec of RFC 5322 without comments and quoted strings.

/// Maximum length of an address in bytes (RFC 5321, section 4.5.3.1.3, without the brackets).
const MAX_LEN: usize = 254;

/// Maximum length of the part before the `@` in bytes (RFC 5321, section 4.5.3.1.1).
const MAX_LOCAL_LEN: usize = 64;

/// Converts an address to the form in which it is stored and compared: without surrounding blanks, in lower case, and
/// with an internationalized domain in its ASCII form (UTS #46).
#[must_use]
pub fn normalize(address: &str) -> String {
    let address = address.trim().to_lowercase();
    match address.rsplit_once('@') {
        Some((local, domain)) if !domain.is_ascii() => match idna::domain_to_ascii(domain) {
            Ok(domain) => format!("{local}@{domain}"),
            Err(_) => address,
        },
        _ => address,
    }
}

/// Checks a normalized address.
///
/// # Errors
/// If it is not an address; the message continues a sentence about it.
pub fn check(address: &str) -> Result<(), &'static str> {
    const INVALID: &str = "must be an e-mail address like ada@example.com";
    let (local, domain) = address.rsplit_once('@').ok_or(INVALID)?;
    if !local.is_ascii() {
        return Err("must have only letters without accents, digits and other ASCII characters before the @");
    }
    let is_atom = |atom: &str| {
        !atom.is_empty() && atom.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_valid = address.len() <= MAX_LEN
        && local.len() <= MAX_LOCAL_LEN
        && local.split('.').all(is_atom)
        && domain.contains('.')
        && domain.split('.').all(is_label)
        // Labels that begin with `xn--` must be valid punycode.
        && idna::domain_to_ascii(domain).is_ok();
    if is_valid { Ok(()) } else { Err(INVALID) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_normalized() {
        for (given, normalized) in [
            ("  Ada@Example.COM\n", "ada@example.com"),
            ("ada@bücher.example", "ada@xn--bcher-kva.example"),
            ("ada@BÜCHER.example", "ada@xn--bcher-kva.example"),
            ("ada@例え.テスト", "ada@xn--r8jz45g.xn--zckzah"),
            ("ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
            ("no address", "no address"),
        ] {
            assert_eq!(normalize(given), normalized, "{given}");
        }
    }

    #[test]
    fn a_local_part_beyond_ascii_has_a_message_of_its_own() {
        assert!(check(&normalize("jürgen@example.com")).unwrap_err().contains("ASCII"));
        assert!(check("ada@xn--a.example").is_err());
        assert!(check(&normalize("ada@exa mple.com")).unwrap_err().contains("like ada@example.com"));
        assert_eq!(check("ada@example.com"), Ok(()));
    }
}
