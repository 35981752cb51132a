//! Compression of stored responses, which repeat the names of all fields.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::error::Error;

pub(crate) fn compress(text: &str) -> Result<Vec<u8>, Error> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).map_err(Error::corrupt)
}

pub(crate) fn decompress(compressed: &[u8]) -> Result<String, Error> {
    let mut text = String::new();
    DeflateDecoder::new(compressed).read_to_string(&mut text).map_err(Error::corrupt)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decompression_returns_the_same_text() {
        for text in ["", "x", r#"{"name":"äöü"}"#, &"a long text ".repeat(1_000)] {
            let compressed = compress(text).unwrap();
            assert!(compressed.len() <= text.len() + 8, "{}", compressed.len());
            assert_eq!(decompress(&compressed).unwrap(), text);
        }
        assert!(decompress(&[0xff, 0xff]).is_err());
    }
}
