//! Files of Swagger UI, from the archive in the binary.
//!
//! The deflated data of a ZIP archive is also the content of a gzip stream, so the files are never recompressed.

use std::io::Read as _;

use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;

use super::static_asset::StaticAsset;

pub(super) fn asset(content_type: &'static str, name: &str) -> StaticAsset {
    let gzip = read_gzip(name).unwrap_or_else(|error| {
        tracing::error!(%error, file = name, "failed to read a file of Swagger UI");
        Vec::new()
    });
    StaticAsset::from_gzip(content_type, gzip)
}

/// Returns a file of the archive as a gzip stream (RFC 1952): header, deflated data, checksum and length.
fn read_gzip(name: &str) -> anyhow::Result<Vec<u8>> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(SWAGGER_UI_VENDORED))?;
    let index = archive
        .file_names()
        .position(|path| path.is_ok_and(|path| path.ends_with(&format!("/dist/{name}"))))
        .ok_or_else(|| anyhow::anyhow!("the archive does not contain the file"))?;
    let mut file = archive.by_index_raw(index)?;
    anyhow::ensure!(file.compression() == zip::CompressionMethod::DEFLATE, "the file is not deflated");
    let (checksum, length) = (file.crc32(), u32::try_from(file.size())?);
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
    file.read_to_end(&mut gzip)?;
    gzip.extend(checksum.to_le_bytes());
    gzip.extend(length.to_le_bytes());
    Ok(gzip)
}

#[cfg(test)]
mod tests {
    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn the_binary_contains_the_files_of_swagger_ui() {
        for (name, least) in [("swagger-ui.css", 100_000), ("swagger-ui-bundle.js", 1_000_000)] {
            let mut plain = Vec::new();
            GzDecoder::new(read_gzip(name).unwrap().as_slice()).read_to_end(&mut plain).unwrap();
            assert!(plain.len() > least, "{name} has {} bytes", plain.len());
        }
    }
}
