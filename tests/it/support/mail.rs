//! E-mail as its reader sees it.

/// Relevant parts of an e-mail.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    pub(crate) id: String,
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
    /// The whole message as received.
    pub(crate) raw: String,
}

impl Mail {
    pub(crate) fn read(raw: &str) -> Self {
        let (head, body) = raw.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no mail: {raw}"));
        let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let header = |name: &str| {
            let mut values = head.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            let value = values.next().unwrap_or_else(|| panic!("no {name}: {head}")).to_owned();
            assert!(values.next().is_none(), "two of {name}: {head}");
            value
        };
        Self {
            id: header("Message-ID"),
            to: header("To"),
            subject: header("Subject"),
            text: part(body, "text/plain"),
            html: part(body, "text/html"),
            raw: raw.to_owned(),
        }
    }

    /// Token in the link.
    #[track_caller]
    pub(crate) fn token(&self) -> &str {
        let link = self.text.lines().find(|line| line.starts_with("http") && line.contains("#token="));
        link.unwrap_or_else(|| panic!("no link: {}", self.text)).split_once("#token=").unwrap().1
    }
}

/// Decoded part of a multipart message.
fn part(body: &str, kind: &str) -> String {
    let (before, rest) =
        body.split_once(&format!("Content-Type: {kind}")).unwrap_or_else(|| panic!("no {kind}: {body}"));
    let (head, rest) = rest.split_once("\r\n\r\n").unwrap();
    // The whole delimiter, because a wrapped line of a token may begin with two hyphens.
    let delimiter = before.trim_end().lines().next_back().unwrap();
    let content = rest.split(&format!("\r\n{delimiter}")).next().unwrap();
    match head.lines().find_map(|line| line.strip_prefix("Content-Transfer-Encoding: ")) {
        Some("quoted-printable") => unquoted(content),
        Some("base64") => {
            use base64::Engine as _;
            let packed: String = content.split_whitespace().collect();
            String::from_utf8(base64::engine::general_purpose::STANDARD.decode(packed).unwrap()).unwrap()
        }
        Some("7bit") => content.to_owned(),
        other => panic!("{other:?}: {body}"),
    }
    .replace("\r\n", "\n")
}

/// Decodes quoted-printable text (RFC 2045, section 6.7).
fn unquoted(content: &str) -> String {
    let joined = content.replace("=\r\n", "");
    let mut bytes = Vec::new();
    let mut rest = joined.as_bytes();
    while let [first, others @ ..] = rest {
        if *first == b'=' {
            let hex = std::str::from_utf8(&others[..2]).unwrap();
            bytes.push(u8::from_str_radix(hex, 16).unwrap());
            rest = &others[2..];
        } else {
            bytes.push(*first);
            rest = others;
        }
    }
    String::from_utf8(bytes).unwrap()
}
