//! Files that have a secret in them: they are read at the start, and again when the secret may have changed.

use std::fs::File;
use std::io::Read;

/// A secret is no longer than this.
const LONGEST_SECRET: u64 = 1 << 20;

/// What the file of a secret has.
///
/// # Errors
/// What is wrong with the file, as the end of a sentence.
pub fn secret(path: &str) -> Result<String, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST_SECRET + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("the file it names cannot be read: {error}"))?;
    if bytes.len() as u64 > LONGEST_SECRET {
        return Err("the file it names is larger than 1 MiB".into());
    }
    let text = String::from_utf8(bytes).map_err(|_| "the file it names is not UTF-8".to_owned())?;
    if text.trim().is_empty() {
        Err("the file it names is empty".into())
    } else {
        Ok(without_newline(&text).to_owned())
    }
}

/// A text without the newlines at its end, which a password hardly has.
pub fn without_newline(text: &str) -> &str {
    text.trim_end_matches(['\n', '\r'])
}
